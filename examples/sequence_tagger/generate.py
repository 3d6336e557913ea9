"""Writes sentences.npz: sentences of an invented grammar, the kind of each word and the phrase that names the one who acts.

The grammar.

    sentence: phrase verb phrase | phrase auxiliary verb preposition phrase
    phrase: determiner adjective{0,2} noun

Both sentences are as likely. In the first the first phrase acts; in the second, a passive, the last. Of the nouns and of the verbs
70 % are words that can be either, so that only their place tells. Words are numbers: 0 padding, 1 to 4 determiners, 5 to 12
adjectives, 13 to 20 nouns, 21 to 32 either, 33 to 38 verbs, 39 and 40 auxiliaries, 41 the preposition. `tag` is 0 padding,
1 determiner, 2 adjective, 3 noun, 4 verb, 5 auxiliary, 6 preposition; `span` the places of the first and the last word of the
acting phrase. 1024 sentences train, 512 test; a sentence is padded to 14 words. numpy's PCG64 with seed 9 makes the same file
everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(9)
length = 14
determiner, adjective, noun, verb, auxiliary, preposition = 1, 2, 3, 4, 5, 6
words = {
    determiner: range(1, 5),
    adjective: range(5, 13),
    noun: range(13, 21),
    verb: range(33, 39),
    auxiliary: range(39, 41),
    preposition: range(41, 42),
}
either = range(21, 33)


def tagged(tag):
    choices = either if tag in (noun, verb) and random.random() < 0.7 else words[tag]
    return int(random.choice(choices)), tag


def phrase():
    n_adjectives = random.integers(0, 3)
    return [tagged(tag) for tag in [determiner] + [adjective] * n_adjectives + [noun]]


def sentence():
    first, last = phrase(), phrase()
    if random.random() < 0.5:
        middle = [tagged(verb)]
        start, acting = 0, first
    else:
        middle = [tagged(auxiliary), tagged(verb), tagged(preposition)]
        start, acting = len(first) + len(middle), last
    every = first + middle + last
    every += [(0, 0)] * (length - len(every))
    word, tag = zip(*every)
    return word, tag, (start, start + len(acting) - 1)


def part(n):
    columns = zip(*[sentence() for _ in range(n)])
    return {name: np.array(column, np.uint8) for name, column in zip(["word", "tag", "span"], columns)}


with zipfile.ZipFile("sentences.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, n in [("train", 1024), ("test", 512)]:
        for key, values in part(n).items():
            buffer = io.BytesIO()
            np.save(buffer, values)
            archive.writestr(zipfile.ZipInfo(f"{name}/{key}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
