"""Writes tasks.npz: 500 sine curves, twenty points of each, one curve behind the other.

The rule. A curve is a sin(x + b), a from [0.5, 2] and b from [0, pi]; its points lie in [-3, 3]. The first ten of each are for
adapting (`support` is 1), the others for judging. numpy's PCG64 with seed 5 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(5)
height, shift = random.uniform(0.5, 2, (500, 1)), random.uniform(0, np.pi, (500, 1))
x = np.round(random.uniform(-3, 3, (500, 20)), 3)
arrays = {
    "x": x.reshape(-1, 1),
    "y": np.round(height * np.sin(x + shift), 3).reshape(-1),
    "support": np.tile(np.arange(20) < 10, 500),
}
with zipfile.ZipFile("tasks.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32))
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
