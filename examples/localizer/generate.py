"""Writes localizer.npz: small images in which one bright patch is to be found, and told whether it is warm or cold.

The rule. Each image is 5 x 5 with two channels of noise, normal with deviation 0.5. A patch of 3 x 3 pixels gets 2 added in
channel 0 where the image is warm and in channel 1 where it is cold, and 1.5 in the other: the place is plain to see, warm
and cold are at times mistaken, so neither loss can reach 0. `true_box` is 1 at the one of the nine 3 x 3 windows
that the patch fills, `true_cls` is [warm, cold]. 384 images train, 128 test. numpy's PCG64 with seed 5 makes the same
file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(5)


def part(n):
    image = random.normal(scale=0.5, size=(n, 5, 5, 2)).astype(np.float32)
    box = np.zeros((n, 3, 3, 1), np.float32)
    cls = np.zeros((n, 2), np.float32)
    for i, (row, column, kind) in enumerate(random.integers(0, [3, 3, 2], (n, 3))):
        patch = image[i, row : row + 3, column : column + 3]
        patch += 1.5
        patch[:, :, kind] += 0.5
        box[i, row, column, 0] = 1
        cls[i, kind] = 1
    # Two decimals are all that the picture needs, and compress well.
    return dict(image=np.round(image, 2), true_box=box, true_cls=cls)


with zipfile.ZipFile("localizer.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, n in [("train", 384), ("test", 128)]:
        for key, values in part(n).items():
            buffer = io.BytesIO()
            np.save(buffer, values)
            archive.writestr(zipfile.ZipInfo(f"{name}/{key}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
