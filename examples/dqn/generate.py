"""Writes steps.npz: 4000 steps of a walker that chooses at random, in a room of 6 by 6 fields with a wall.

The rule. Actions are up, down, left, right; a step into a wall or the border stays where it is. The wall is the fields (2, 0) to
(2, 4). Reaching (5, 0) gives 1 and ends the walk, every other step gives 0. Places are scaled to [-1, 1]. `exact` are the
values by dynamic programming with a discount of 0.9. numpy's PCG64 with seed 6 makes the same file everywhere.
"""
import io
import zipfile

import numpy as np

SIZE, GOAL, DISCOUNT = 6, (5, 0), 0.9
WALL = {(2, y) for y in range(5)}
MOVES = [(0, 1), (0, -1), (-1, 0), (1, 0)]
FIELDS = [(x, y) for x in range(SIZE) for y in range(SIZE) if (x, y) not in WALL and (x, y) != GOAL]


def moved(field, action):
    to = (field[0] + MOVES[action][0], field[1] + MOVES[action][1])
    is_free = 0 <= to[0] < SIZE and 0 <= to[1] < SIZE and to not in WALL
    return to if is_free else field


exact = {field: [0.0] * 4 for field in FIELDS}
for _ in range(200):
    value = lambda field: 1.0 if field == GOAL else DISCOUNT * max(exact[field])
    exact = {field: [value(moved(field, action)) for action in range(4)] for field in FIELDS}

random = np.random.default_rng(6)
scaled = lambda field: [2 * part / (SIZE - 1) - 1 for part in field]
rows = []
for _ in range(4000):
    field, action = FIELDS[random.integers(len(FIELDS))], int(random.integers(4))
    to = moved(field, action)
    rows.append((scaled(field), action, float(to == GOAL), scaled(to), float(to == GOAL), exact[field]))
names = ["place", "action", "reward", "next", "ended", "exact"]
with zipfile.ZipFile("steps.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, values in zip(names, zip(*rows)):
        buffer = io.BytesIO()
        np.save(buffer, np.array(values, np.int32 if name == "action" else np.float32))
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
