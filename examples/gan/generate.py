"""Writes ring.npz: 2048 points from eight clusters on a circle.

The rule. A cluster is drawn, each as likely as the next; its centre stands on the unit circle at an eighth of the turn
times its number; the point is normal around it with deviation 0.05. numpy's PCG64 with seed 8 makes the same file
everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(8)
angle = 2 * np.pi * random.integers(0, 8, 2048) / 8
point = np.stack([np.cos(angle), np.sin(angle)], axis=1) + random.normal(scale=0.05, size=(2048, 2))

with zipfile.ZipFile("ring.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    buffer = io.BytesIO()
    # Three decimals are a fiftieth of the deviation, and compress well.
    np.save(buffer, np.round(point, 3).astype(np.float32))
    archive.writestr(zipfile.ZipInfo("point.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
