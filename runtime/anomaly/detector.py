"""From feature maps to logits: how far each patch lies from the nearest one that was remembered of good parts.

After K. Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (PatchCore), CVPR 2022, in numpy alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.anomaly.record import DetectorRecord

FARTHEST = 0.005  # of the places: 4 of 28×28
_LEAST = 1e-6  # a distance of nothing has no logarithm
_DTYPE = np.dtype("<f4")


def read_bank(data: bytes, record: DetectorRecord, where: str) -> NDArray[np.float32]:
    """A bank from a bundle's member, entries×channels. Raises ModelError."""
    expected = record.entries * record.channels * _DTYPE.itemsize
    if len(data) != expected:
        raise ModelError(
            f"{where}: {len(data)} bytes, expected {expected} ({record.entries}×{record.channels} float32)"
        )
    bank = np.frombuffer(data, _DTYPE).reshape(record.entries, record.channels).astype(np.float32)
    if not np.isfinite(bank).all():
        raise ModelError(f"{where}: holds a value that is not finite")
    return bank


class Detector:
    """Judges the output of one model file by the bank of that file's own features."""

    def __init__(self, record: DetectorRecord, bank: NDArray[np.float32], threshold: float, spread: float) -> None:
        self.record = record
        self.bank = bank
        self.threshold = threshold
        self.spread = spread
        self._parts, self._under = _by_grid(bank, record), _under(record)
        self._squares = np.einsum("ij,ij->i", bank, bank)

    def distances(
        self, features: NDArray[np.float32], left_out: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """The distance of each place from its nearest entry, height×width of the finest map. `left_out` marks entries
        that do not count."""
        finest = self.record.grids[0]
        nearest = np.broadcast_to(self._squares, (finest.height * finest.width, len(self.bank))).copy()
        for values, part, rows in zip(maps_of(features, self.record), self._parts, self._under, strict=True):
            nearest += (np.einsum("ij,ij->i", values, values)[:, None] - 2 * values @ part.T)[rows]
        if left_out is not None:
            nearest = nearest[:, ~left_out]
        found: NDArray[np.float32] = np.sqrt(np.maximum(nearest.min(axis=1), 0))
        return found.reshape(finest.height, finest.width)

    def score(self, distances: NDArray[np.float32]) -> float:
        """The picture's distance: the mean of its farthest places, each with those around it, since one alone may be noise."""
        smooth = cv2.blur(distances, (3, 3), borderType=cv2.BORDER_REFLECT)
        count = max(1, round(FARTHEST * smooth.size))
        return max(float(np.partition(smooth, -count, axis=None)[-count:].mean()), _LEAST)

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """One logit for good and one for anomaly: 0, and how many spreads of good pictures the distance lies above the
        threshold."""
        above = np.log(self.score(self.distances(features)) / self.threshold) / self.spread
        return np.array([0.0, above], np.float32)


def maps_of(features: NDArray[np.float32], record: DetectorRecord) -> list[NDArray[np.float32]]:
    """A model's output as its maps, places×channels each. Raises ModelError."""
    if features.shape != (record.values,):
        raise ModelError(f"the model gives {features.shape} values, its detector takes {record.values}")
    ends = np.cumsum([grid.values for grid in record.grids])[:-1]
    parts = np.split(features, ends)
    return [part.reshape(-1, grid.channels) for part, grid in zip(parts, record.grids, strict=True)]


def patches(features: NDArray[np.float32], record: DetectorRecord) -> NDArray[np.float32]:
    """Every place of a picture as an entry of a bank, places×channels."""
    return np.concatenate(
        [values[rows] for values, rows in zip(maps_of(features, record), _under(record), strict=True)], axis=1
    )


def _under(record: DetectorRecord) -> list[NDArray[np.int64]]:
    """For each map, which of its places lies under each place of the finest one."""
    finest = record.grids[0]
    found = []
    for grid in record.grids:
        rows = np.arange(finest.height) * grid.height // finest.height
        columns = np.arange(finest.width) * grid.width // finest.width
        found.append((rows[:, None] * grid.width + columns).reshape(-1))
    return found


def _by_grid(bank: NDArray[np.float32], record: DetectorRecord) -> list[NDArray[np.float32]]:
    ends = np.cumsum([grid.channels for grid in record.grids])[:-1]
    return [np.ascontiguousarray(part) for part in np.split(bank, ends, axis=1)]
