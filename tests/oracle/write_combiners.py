"""Writes combiners.json: data whose best compromises are known in closed form, in float64.

    python write_combiners.py   (NumPy and scikit-learn)

`uncertainty`: Y1 = 2x + 8 + 10 n, Y2 = 3x + 3 + n (Kendall, Gal, Cipolla 2018, as published with Keras): of linear heads the trained s
settle at ln of the least mean square. `linnerud`: three targets behind one direction of three inputs; for weights w of the targets the best
such model is B = B_ols W^½ v vᵀ W^-½, v the first right singular vector of X B_ols W^½.
"""
import json
import pathlib

import numpy as np
from sklearn.datasets import load_linnerud

np.random.seed(0)
x = np.random.randn(100, 1)
y1 = x * 2.0 + 8.0 + np.random.randn(100, 1) * 1e1
y2 = x * 3.0 + 3.0 + np.random.randn(100, 1) * 1e0
design = np.hstack([x, np.ones_like(x)])


def least(y):
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    return float(np.mean((design @ solution - y) ** 2)), [float(v) for v in solution[:, 0]]


squares, heads = zip(*(least(y) for y in (y1, y2)))
uncertainty = {
    "x": x[:, 0].tolist(), "y1": y1[:, 0].tolist(), "y2": y2[:, 0].tolist(),
    "log_var": [float(np.log(s)) for s in squares], "deviation": [float(np.sqrt(s)) for s in squares], "heads": heads,
}

data = load_linnerud()
X = (data.data - data.data.mean(0)) / data.data.std(0)
Y = data.target - data.target.mean(0)
B = np.linalg.lstsq(X, Y, rcond=None)[0]


def front(w):
    root = np.sqrt(np.asarray(w))
    v = np.linalg.svd(X @ (B * root))[2][0][:, None]
    best = (B * root) @ v @ v.T / root
    return np.mean((X @ best - Y) ** 2, axis=0)


def settled():
    """The fixed point of w = 1 / L, that of Σ ln L."""
    w = np.ones(3)
    for _ in range(10_000):
        w = 1 / front(w)
    return w


fronts = {"1,1,1": front([1, 1, 1]), "1/var": front(1 / Y.var(0)), "0.01,0.01,1": front([0.01, 0.01, 1]), "1/L": front(settled())}
linnerud = {
    "x": X.tolist(), "y": Y.tolist(), "var": Y.var(0).tolist(), "ols": np.mean((X @ B - Y) ** 2, axis=0).tolist(),
    "rank_one": {name: losses.tolist() for name, losses in fronts.items()},
}
print({k: v for k, v in uncertainty.items() if k not in ("x", "y1", "y2")}, linnerud["ols"], linnerud["rank_one"], np.log(fronts["1/L"]).sum())
path = pathlib.Path(__file__).parent / "combiners.json"
path.write_text(json.dumps({"uncertainty": uncertainty, "linnerud": linnerud}) + "\n")
