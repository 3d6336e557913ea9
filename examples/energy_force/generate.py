"""Writes particles.npz: 840 arrangements of five particles in the plane, their energies and the forces on them.

The rule. The energy is the sum over pairs of Morse's (1 - exp(-2 (r - 1.2)))^2 - 1; an arrangement is drawn uniformly from a square of
side 3 until no pair is nearer than 0.8. numpy's PCG64 with seed 9 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

random = np.random.default_rng(9)
PAIRS = [(i, j) for i in range(5) for j in range(i)]
arrays = {"position": [], "true_energy": [], "true_force": []}
while len(arrays["position"]) < 840:
    position = np.round(random.uniform(0, 3, (5, 2)), 3)
    if min(np.linalg.norm(position[i] - position[j]) for i, j in PAIRS) < 0.8:
        continue
    energy, force = 0.0, np.zeros((5, 2))
    for i, j in PAIRS:
        apart = position[i] - position[j]
        distance = np.linalg.norm(apart)
        fall = np.exp(-2 * (distance - 1.2))
        energy += (1 - fall) ** 2 - 1
        pull = -4 * (1 - fall) * fall * apart / distance
        force[i] += pull
        force[j] -= pull
    for name, value in zip(arrays, (position, energy, force)):
        arrays[name].append(value)
with zipfile.ZipFile("particles.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.round(values, 4).astype(np.float32))
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
