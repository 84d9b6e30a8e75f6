"""The bank: a few hundred patches of good parts that lie so that no other patch is far from all of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.anomaly import Detector, DetectorRecord
from edgetl.runtime.anomaly.detector import patches

CANDIDATES = 20_000  # patches that entries are chosen from; with more, the choice takes minutes and looks the same


class Bank(msgspec.Struct, frozen=True):
    """`entries` n×channels, with the `pictures` and `places` of the finest map where they come from. `groups`: of which
    near-duplicates each picture of the run is one."""

    entries: NDArray[np.float32]
    pictures: NDArray[np.int64]
    places: NDArray[np.int64]
    groups: NDArray[np.int64]


def choose_bank(
    features: Mapping[int, NDArray[np.float32]], groups: NDArray[np.int64], record: DetectorRecord, size: int, seed: int
) -> Bank:
    """`size` entries from the features of pictures (by number), laid out as the record says."""
    random = np.random.default_rng(seed)
    finest, rows = record.grids[0].height * record.grids[0].width, sorted(features)
    each = min(finest, max(1, CANDIDATES // len(rows)))
    found, pictures, places = [], [], []
    for row in rows:
        chosen = np.sort(random.choice(finest, each, replace=False))
        found.append(patches(features[row], record)[chosen])
        pictures.append(np.full(each, row))
        places.append(chosen)
    candidates = np.concatenate(found)
    picks = spread_out(candidates, min(size, len(candidates)))
    return Bank(candidates[picks], np.concatenate(pictures)[picks], np.concatenate(places)[picks], groups)


def seen_by(features: Mapping[int, NDArray[np.float32]], bank: Bank, record: DetectorRecord) -> Bank:
    """The same patches of the same pictures, as another file's features show them."""
    entries = np.empty((len(bank.entries), record.channels), np.float32)
    for picture in np.unique(bank.pictures):
        own = np.flatnonzero(bank.pictures == picture)
        entries[own] = patches(features[int(picture)], record)[bank.places[own]]
    return msgspec.structs.replace(bank, entries=entries)


def held_out_distance(features: NDArray[np.float32], picture: int, bank: Bank, record: DetectorRecord) -> float:
    """The distance of a picture from the patches of others: its own, and those of near copies, do not count. So a picture
    that the bank knows is a held-out one too."""
    detector = Detector(record, bank.entries, 1.0, 1.0)
    return detector.score(detector.distances(features, bank.groups[bank.pictures] == bank.groups[picture]))


def spread_out(points: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Which `count` of the points (n×channels) to keep: each time the one that lies farthest from those kept
    (k-centre, greedily: T. Gonzalez, Theoretical Computer Science 38, 1985). The first is the one nearest to the mean."""
    squares = np.einsum("ij,ij->i", points, points)
    first = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    kept = [first]
    nearest = _distances(points, squares, first)
    while len(kept) < count:
        kept.append(int(nearest.argmax()))
        np.minimum(nearest, _distances(points, squares, kept[-1]), out=nearest)
    return np.array(kept, np.int64)


def _distances(points: NDArray[np.float32], squares: NDArray[np.float32], of: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = squares + squares[of] - 2 * (points @ points[of])
    return found
