"""Writes burgers.npz: the points at which the equation must hold, and the solution at points for the test.

`train/point` are 10000 points (x, t) of [-1, 1] x [0, 1], a Latin hypercube: each of 10000 slices of either axis holds one.
`train/exact` is missing everywhere. `test/point` is the grid of 65 x 21 points, and `test/exact` the solution there by Cole
and Hopf:

    u(x, t) = -∫ sin(π (x - y)) f(x - y) exp(-y² / (4 ν t)) dy / ∫ f(x - y) exp(-y² / (4 ν t)) dy
    f(z) = exp(-cos(π z) / (2 π ν)),  ν = 0.01 / π

by Gauss and Hermite's rule of 200 nodes in y / sqrt(4 ν t) (Basdevant et al. 1986). numpy's PCG64 with seed 6 makes the same file
everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(6)
n = 10000
point = [(random.permutation(n) + 0.5) / n * 2 - 1, (random.permutation(n) + 0.5) / n]

viscosity = 0.01 / np.pi
nodes, weights = np.polynomial.hermite.hermgauss(200)


def solution(x, t):
    if t == 0:
        return -np.sin(np.pi * x)
    z = x - np.sqrt(4 * viscosity * t) * nodes
    # The largest exponent is taken out of both integrals, which leaves their quotient as it is.
    exponent = -np.cos(np.pi * z) / (2 * np.pi * viscosity)
    mass = weights * np.exp(exponent - exponent.max())
    return -np.sum(mass * np.sin(np.pi * z)) / np.sum(mass)


grid = [(x, t) for t in np.linspace(0, 1, 21) for x in np.linspace(-1, 1, 65)]
data = {
    "train/point": np.round(np.stack(point, axis=1), 5),
    "train/exact": np.full(n, np.nan),
    "test/point": np.array(grid),
    "test/exact": np.array([solution(x, t) for x, t in grid]),
}
with zipfile.ZipFile("burgers.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in data.items():
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32))
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
