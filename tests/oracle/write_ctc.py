"""Writes ctc.json: connectionist temporal classification in float64 by PyTorch, values and gradients of `sum(c loss)` by the
logits.

    python write_ctc.py

Samples of several lengths of text and of time, with repeated labels, one label alone, none at all, and a text that fills its
frames to the last; with the blank as the first and as the last class. Logits are multiples of 1/64 from numpy's PCG64.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

CLASSES, TIME, LONGEST = 5, 12, 5
TEXTS = [[1, 2, 3], [2, 2, 2], [3], [], [1, 1, 3, 3, 2], [3, 1, 2, 1, 3], [1, 2, 2]]
FRAMES = [12, 9, 7, 5, 12, 5, 4]

random = np.random.default_rng(5)
cases = []
for blank in [0, CLASSES - 1]:
    texts = [[label if blank == 0 else label - 1 for label in text] for text in TEXTS]
    logits = torch.tensor(np.round(64 * random.normal(size=(len(texts), TIME, CLASSES)) * 2) / 64, requires_grad=True)
    c = torch.tensor(np.round(64 * random.normal(size=len(texts))) / 64)
    labels = torch.tensor([text + [blank] * (LONGEST - len(text)) for text in texts])
    loss = F.ctc_loss(
        F.log_softmax(logits, -1).transpose(0, 1),
        labels,
        torch.tensor(FRAMES),
        torch.tensor([len(text) for text in texts]),
        blank=blank,
        reduction="none",
    )
    assert torch.isfinite(loss).all()
    (gradient,) = torch.autograd.grad((c * loss).sum(), logits)
    written = {"blank": blank, "labels": labels, "frames": FRAMES, "logits": logits, "c": c, "loss": loss}
    written["gradient"] = gradient
    cases.append({name: values.tolist() if torch.is_tensor(values) else values for name, values in written.items()})
(pathlib.Path(__file__).parent / "ctc.json").write_text(json.dumps(cases))
