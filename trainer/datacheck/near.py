"""Near copies across classes: the same photograph saved or lit a little differently, under two labels."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.trainer.splits import NEAR
from edgetl.trainer.store import Store

SIDE = 64  # of the grey thumbnails that settle it: a cell is few pixels, so that a small defect shows in one
DIFFERENT = 14.0  # grey levels in the cell that differs most, means aside; copies as JPEG stay below


def near_across_classes(stored: Store) -> list[list[int]]:
    """Sets of pictures, by number, that are near copies of each other though they lie in different classes.

    Photographs of good and bad parts in one fixture look alike from afar: they count only if they do so in every place.
    Equal files are another matter.
    """
    images, fingerprints = stored.images, stored.fingerprints
    labels = np.array([sample.label for sample in stored.samples])
    hashes = [sample.sha256 for sample in stored.samples]
    prints = fingerprints.astype(np.float32)
    means = prints.mean(axis=1)
    order = np.argsort(means, kind="stable")
    sorted_means = means[order]
    together: dict[int, int] = {}
    for place, here in enumerate(order):
        # Thumbnails differ at least by the difference of their means, so that only neighbours in this order come into question.
        end = int(np.searchsorted(sorted_means, means[here] + NEAR))
        others = order[place + 1 : end]
        others = others[labels[others] != labels[here]]
        close = others[np.abs(prints[others] - prints[here]).mean(axis=1) < NEAR]
        for other in close:
            if hashes[here] != hashes[other] and _alike(images[here], images[other]):
                _join(together, int(here), int(other))
    found: dict[int, list[int]] = defaultdict(list)
    for picture in together:
        found[_root(together, picture)].append(picture)
    return [sorted(group) for group in found.values()]


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    difference = _thumbnail(one) - _thumbnail(other)
    return float(np.abs(difference - difference.mean()).max()) < DIFFERENT


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    side = min(SIDE, image.shape[0])
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)


def _root(together: dict[int, int], picture: int) -> int:
    while together[picture] != picture:
        picture = together[picture]
    return picture


def _join(together: dict[int, int], one: int, other: int) -> None:
    for picture in (one, other):
        together.setdefault(picture, picture)
    together[_root(together, one)] = _root(together, other)
