"""What the tests share."""

from pathlib import Path

import numpy as np
import pytest

import anabranch

ROOT = Path(__file__).resolve().parents[2]

LINE = """
input  x: f32[batch, 1]
target y: f32[batch, 1]
output line = x |> dense(units=1)
loss error = mean_squared_error(y, line)
metric distance = mean_absolute_error(y, line)
train { minimize error  optimizer sgd(lr=0.3) }
"""

LABELS = """
const width = 8
const n = 3
const k = 2
input  x: f32[batch, n]
target label: i32[batch]
let hidden = x |> dense(units=width) |> relu
output scores = hidden |> dense(units=k)
loss error = sparse_categorical_crossentropy(label, scores)
metric hits = accuracy(label, scores)
train { minimize error  optimizer adam(lr=0.03) }
"""


@pytest.fixture
def line():
    x = np.array([[0.0], [0.5], [1.0], [2.0]], np.float32)
    return anabranch.compile(LINE), {"x": x, "y": 2 * x + 1}


@pytest.fixture
def digits():
    table = np.loadtxt(ROOT / "examples/digits/digits.csv", delimiter=",", skiprows=1, dtype=np.float32)
    names = (ROOT / "examples/digits/digits.csv").read_text().splitlines()[0].split(",")
    return dict(zip(names, table.T, strict=True))
