"""Writes shapes.npz: noisy images with one disc and one square, and for each pixel which of them it belongs to.

The rule. Each image is 20 x 20. A disc and then a square of nearly the same area stand anywhere in it without a common pixel; their
half size is uniform within 3 and 4.8. Both have brightness 10 before a ground of 5, with normal noise of deviation 1.5, rounded and held
within 0 and 15: only the outline tells one from the other. `mask` is 0 on the ground, 1 on the disc, 2 on the square. 384 images train,
128 test. numpy's PCG64 with seed 7 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(7)
size = 20
y, x = np.mgrid[:size, :size]
# A square with the area of a disc has this part of its half size.
of_equal_area = np.sqrt(np.pi) / 2


def place(mask, kind):
    while True:
        half = random.uniform(3, 4.8)
        row, column = random.uniform(half, size - 1 - half, 2)
        if kind == 1:
            inside = np.hypot(y - row, x - column) <= half
        else:
            inside = np.maximum(abs(y - row), abs(x - column)) <= half * of_equal_area
        if not mask[inside].any():
            mask[inside] = kind
            return


def part(n):
    mask = np.zeros((n, size, size), np.uint8)
    for one in mask:
        place(one, 1)
        place(one, 2)
    image = np.where(mask > 0, 10, 5) + random.normal(scale=1.5, size=mask.shape)
    return dict(image=np.clip(np.round(image), 0, 15).astype(np.uint8)[..., None], mask=mask)


with zipfile.ZipFile("shapes.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, n in [("train", 384), ("test", 128)]:
        for key, values in part(n).items():
            buffer = io.BytesIO()
            np.save(buffer, values)
            archive.writestr(zipfile.ZipInfo(f"{name}/{key}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
