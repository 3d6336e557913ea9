"""Writes features.npz: 1120 rows of 40 features, of which five count.

The rule. Features are standard normal; y is 2 x0 - 1.5 x1 + x2 + x3 - 0.5 x4, and normal noise of deviation 1. numpy's PCG64
with seed 4 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(4)
x = np.round(random.normal(size=(1120, 40)), 2)
y = x[:, :5] @ [2, -1.5, 1, 1, -0.5] + random.normal(size=1120)
with zipfile.ZipFile("features.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in {"x": x, "y": np.round(y, 3)}.items():
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32))
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
