"""Writes w1.npz: the data and initial values that the trajectories in w1*.json start from.

Glorot-uniform kernels, zero biases, alpha one half; normal images, random zeros and ones as targets, from numpy's PCG64
with seed 1. The trajectories were computed from them in float64 by another system (JAX).
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(1)


def glorot(*shape):
    receptive = int(np.prod(shape[:-2])) if len(shape) > 2 else 1
    limit = np.sqrt(6.0 / (shape[-2] * receptive + shape[-1] * receptive))
    return random.uniform(-limit, limit, shape).astype(np.float32)


arrays = {
    "data/x": random.normal(size=(7, 5, 5, 2)).astype(np.float32),
    "data/box": random.integers(0, 2, (7, 3, 3, 1)).astype(np.float32),
    "data/cls": random.integers(0, 2, (7, 2)).astype(np.float32),
    "param/ck": glorot(3, 3, 2, 1),
    "param/cb": np.zeros(1, np.float32),
    "param/dk": glorot(50, 2),
    "param/db": np.zeros(2, np.float32),
    "param/alpha": np.float32(0.5),
}

with zipfile.ZipFile("w1.npz", "w", zipfile.ZIP_DEFLATED) as archive:
    for name, values in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, values)
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
