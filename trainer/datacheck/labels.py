"""Likely wrong labels, by confident learning (Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.trainer.datacheck.finding import Finding


class Suspect(msgspec.Struct, frozen=True):
    """A picture whose label other pictures speak against. `chance`: the probability given to the other label."""

    path: str
    label: str
    rather: str
    chance: float


def suspects(
    paths: list[str], truth: NDArray[np.int64], chances: NDArray[np.float64], labels: tuple[str, ...]
) -> list[Suspect]:
    """Pictures that look more like another class than that class's own pictures do on average, most doubtful first.

    `chances` are out-of-fold probabilities, pictures × labels.
    """
    own = chances[np.arange(len(truth)), truth]
    usual = np.array([own[truth == i].mean() if (truth == i).any() else np.inf for i in range(len(labels))])
    confident = np.where(chances >= usual, chances, 0.0)
    rather = confident.argmax(axis=1)
    doubtful = np.flatnonzero((confident.max(axis=1) > 0) & (rather != truth))
    ordered = sorted(doubtful, key=lambda i: own[i] - chances[i, rather[i]])
    return [
        Suspect(paths[i], labels[truth[i]], labels[rather[i]], round(float(chances[i, rather[i]]), 4)) for i in ordered
    ]


def doubtful_labels(found: list[Suspect], pictures: int) -> Iterator[Finding]:
    """One finding for all suspects."""
    if found:
        first = found[0]
        yield Finding(
            kind="doubtful-labels", severity="warning",
            message=f"{len(found)} of {pictures} labels are doubtful, first {first.path}: {first.label}, looks like {first.rather}",
            advice="look at them in the report; some are wrong labels, the others are the hardest pictures of the set",
            pictures=tuple(s.path for s in found),
        )  # fmt: skip
