"""Writes sentences.npz: 2000 sentences of 4 to 16 words, and whether each is positive.

The rule. Of 39 words 1 to 8 are good, 9 to 16 bad, and 17 turns the next word of opinion round; the others say nothing. A sentence
is positive when its good words outnumber its bad ones, turned words counted as what they are turned to; a tie is drawn
again. Rows are padded with 0. numpy's PCG64 with seed 11 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(11)


def balance(sentence):
    total, turn = 0, 1
    for word in sentence:
        if word == 17:
            turn = -turn
        elif word <= 16:
            total, turn = total + turn * (1 if word <= 8 else -1), 1
    return total


sentences, positive = np.zeros((2000, 16), np.int32), np.zeros(2000, np.float32)
for row in range(2000):
    while True:
        sentence = random.choice(np.r_[1:17, [17] * 6, 18:40], size=random.integers(4, 17))
        if balance(sentence) != 0:
            break
    sentences[row, : len(sentence)] = sentence
    positive[row] = balance(sentence) > 0
with zipfile.ZipFile("sentences.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in {"sentence": sentences, "positive": positive}.items():
        buffer = io.BytesIO()
        np.save(buffer, values)
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
