"""The order in which a run visits its rows: the same permutation as `anabranch run`.

ChaCha with 8 rounds, the seed as the first 8 bytes of an otherwise zero key and the epoch as the stream, drives a Fisher-Yates shuffle
from the last place down; a place is drawn by Lemire's method.
"""

import numpy as np

CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def blocks(seed, stream, first, count):
    """The words of `count` blocks from number `first` on, one block after another."""
    number = np.arange(first, first + count, dtype=np.uint64)
    word = lambda value: np.full(count, value & 0xFFFFFFFF, np.uint32)
    start = [word(constant) for constant in CONSTANTS] + [word(seed), word(seed >> 32)] + [word(0)] * 6
    start += [number.astype(np.uint32), (number >> np.uint64(32)).astype(np.uint32), word(stream), word(stream >> 32)]
    state = [part.copy() for part in start]
    turn = lambda x, by: (x << np.uint32(by)) | (x >> np.uint32(32 - by))
    for _ in range(4):
        for a, b, c, d in QUARTERS:
            for into, by, turned, places in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[into] = state[into] + state[by]
                state[turned] = turn(state[turned] ^ state[into], places)
    return np.stack([end + begin for end, begin in zip(state, start)], 1).reshape(-1)


def words(seed, stream):
    first = 0
    while True:
        yield from blocks(seed, stream, first, 256).tolist()
        first += 256


def order(n_rows, seed, epoch):
    """The rows of an epoch; as they stand where there is no seed."""
    rows = np.arange(n_rows)
    if seed is None:
        return rows
    drawn = words(seed, epoch)
    for bound in range(n_rows, 1, -1):
        biased = (2**32 - bound) % bound
        product = next(drawn) * bound
        while product & 0xFFFFFFFF < biased:
            product = next(drawn) * bound
        place = product >> 32
        rows[bound - 1], rows[place] = rows[place], rows[bound - 1]
    return rows
