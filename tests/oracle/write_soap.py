"""Writes soap.json: 12 steps of SOAP (Vyas et al. 2024, algorithm 3) in float64, written out in NumPy, on ½ |A W - B|².

    python write_soap.py
"""
import json
import pathlib

import numpy as np

random = np.random.default_rng(5)
A, B, W = (np.round(random.normal(size=shape), 3) for shape in [(4, 3), (4, 2), (3, 2)])
LR, BETA1, BETA2, SHAMPOO, EVERY, EPSILON, DECAY = 0.05, 0.9, 0.95, 0.8, 3, 1e-8, 0.1


def turned(matrix, basis):
    n = len(matrix)
    q, r = np.linalg.qr((matrix + (1e-7 * np.trace(matrix) / n + 1e-30) * np.eye(n)) @ basis)
    return q * np.sign(np.diag(r))


w, path = W.copy(), []
m, v = np.zeros_like(w), np.zeros_like(w)
left, right, of_left, of_right = np.zeros((3, 3)), np.zeros((2, 2)), np.eye(3), np.eye(2)
for step in range(12):
    g = A.T @ (A @ w - B)
    m = BETA1 * m + (1 - BETA1) * g
    left, right = SHAMPOO * left + (1 - SHAMPOO) * g @ g.T, SHAMPOO * right + (1 - SHAMPOO) * g.T @ g
    if step % EVERY == 0:
        of_left, of_right = turned(left, of_left), turned(right, of_right)
    v = BETA2 * v + (1 - BETA2) * (of_left.T @ g @ of_right) ** 2
    t = step + 1
    move = (of_left.T @ m @ of_right) / (1 - BETA1**t) / (np.sqrt(v / (1 - BETA2**t)) + EPSILON)
    w = w - LR * DECAY * w - LR * of_left @ move @ of_right.T
    path.append(w.flatten().tolist())
oracle = {"A": A.flatten().tolist(), "B": B.flatten().tolist(), "W": W.flatten().tolist(), "path": path}
(pathlib.Path(__file__).parent / "soap.json").write_text(json.dumps(oracle, separators=(",", ":")) + "\n")
