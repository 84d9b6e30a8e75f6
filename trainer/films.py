"""Films among the pictures: frames whose neighbours in time are alike without being copies.

A head that saw the frame before and the one after knows the frame between them, so that a random division of a film shows
what was learned by heart. Such pictures are divided by stretches of the film.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

LEAST = 24  # pictures; fewer say too little of whether their order means anything
NEARER = 0.5  # times as far as two pictures at random: so much nearer neighbours must be to be of a film
STRETCHES = 12  # of a film: enough to draw all splits from, long enough that most frames have no neighbour outside


def stretches(paths: list[str], fingerprints: NDArray[np.uint8], seed: int = 0) -> list[int] | None:
    """The stretch (0 to STRETCHES−1) of each picture of one class and folder, or None where they are no film.

    They are one if, in the order of the numbers in their names, neighbours are much nearer to each other than pictures at
    random. `fingerprints`: n×256 uint8.
    """
    count = len(paths)
    if count < LEAST:
        return None
    order = sorted(range(count), key=lambda i: natural_order(paths[i]))
    prints = fingerprints[order].astype(np.float32)
    beside = np.abs(prints[1:] - prints[:-1]).mean(axis=1)
    other = np.random.default_rng(seed).permutation(count)
    apart = np.abs(prints - prints[other]).mean(axis=1)[other != np.arange(count)]
    if not apart.size or float(np.median(beside)) > NEARER * float(np.median(apart)):
        return None
    found = [0] * count
    for place, picture in enumerate(order):
        found[picture] = place * STRETCHES // count
    return found


def natural_order(path: str) -> list[tuple[int, int, str]]:
    """A key by which frame2 comes before frame10."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", path) if part]
