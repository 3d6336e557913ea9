"""Writes digits.npz from ../digits/digits.csv: the images, and five choices of a tenth of the labels.

Rows 0 to 1146 train, 1147 to 1436 are for choosing settings, 1437 to 1796 (other writers) test. `train/few0` to `train/few4` are the labels
of 115 rows, 11 or 12 of each digit, drawn anew for each, and NaN elsewhere; `labelled0/...` to `labelled4/...` are those rows
alone. numpy's PCG64 with seed 3 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(3)
rows = np.loadtxt("../digits/digits.csv", delimiter=",", skiprows=1, dtype=np.int64)
image, digit = rows[:, :64].reshape(-1, 8, 8, 1).astype(np.uint8), rows[:, 64].astype(np.uint8)
parts = {"train": slice(0, 1147), "validation": slice(1147, 1437), "test": slice(1437, 1797)}

data = {f"{part}/image": image[rows] for part, rows in parts.items()}
data |= {f"{part}/digit": digit[rows] for part, rows in parts.items() if part != "train"}
image, digit = image[parts["train"]], digit[parts["train"]]
for choice in range(5):
    few = np.full(len(digit), np.nan, np.float32)
    for value in range(10):
        chosen = random.permutation(np.flatnonzero(digit == value))[: 11 + value % 2]
        few[chosen] = value
    labelled = ~np.isnan(few)
    data[f"train/few{choice}"] = few
    data[f"labelled{choice}/image"], data[f"labelled{choice}/digit"] = image[labelled], digit[labelled]

with zipfile.ZipFile("digits.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in data.items():
        buffer = io.BytesIO()
        np.save(buffer, values)
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
