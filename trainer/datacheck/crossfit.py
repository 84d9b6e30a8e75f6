"""Linear classifiers that judge only pictures they have not seen."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.runtime.decision import probabilities
from edgetl.trainer.probe import PENALTIES, fit_linear, folded, moments, standardized

FOLDS = 5
_BLOCK = 512  # pictures judged at once, so that memory does not grow with their number


def folds_of(truth: NDArray[np.int64], groups: list[int], seed: int = 0) -> NDArray[np.int64]:
    """A fold (0 to FOLDS−1) for each picture: classes spread evenly, near-duplicates kept together."""
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(truth), np.int64)
    of_group: dict[int, list[int]] = defaultdict(list)
    for picture, group in enumerate(groups):
        of_group[group].append(picture)
    for label in range(int(truth.max()) + 1):
        mine = sorted(g for g, members in of_group.items() if truth[members[0]] == label)
        filled = np.zeros(FOLDS, np.int64)
        for group in rng.permutation(np.array(mine, np.int64)):
            fold = int(filled.argmin())
            folds[of_group[int(group)]] = fold
            filled[fold] += len(of_group[int(group)])
    return folds


def out_of_fold(
    features: NDArray[np.floating[Any]],
    truth: NDArray[np.int64],
    groups: list[int],
    classes: int,
    penalties: tuple[float, ...] = PENALTIES,
) -> NDArray[np.float64]:
    """Probabilities (pictures × classes) from linear heads that did not see the picture or its near-duplicates.

    The L2 penalty is the one that predicts best out of fold.
    """
    folds = folds_of(truth, groups)
    best: tuple[float, NDArray[np.float64]] | None = None
    for penalty in penalties:
        chances = np.full((len(truth), classes), 1 / classes)
        for fold in range(FOLDS):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if len(outside) and len(set(truth[inside])) > 1:
                chances[outside] = predict(features, truth, inside, outside, classes, penalty)
        loss = float(-np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-9)).mean())
        if best is None or loss < best[0]:
            best = (loss, chances)
    assert best is not None
    return best[1]


def predict(
    features: NDArray[np.floating[Any]],
    truth: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    classes: int,
    penalty: float,
) -> NDArray[np.float64]:
    """Probabilities for the rows `test` from a linear head fitted to the rows `train`, every class weighing the same."""
    counts = np.bincount(truth[train], minlength=classes)
    weights = np.where(counts > 0, counts.sum() / (max(1, (counts > 0).sum()) * np.maximum(counts, 1)), 0.0)
    every = torch.from_numpy(features)
    mean, unit = moments(every, train)
    scaled = standardized(every, mean, unit, train)
    class_weights = torch.tensor(weights, dtype=torch.float32)
    weight, bias = folded(*fit_linear(scaled, torch.from_numpy(truth[train]), class_weights, penalty), mean, unit)
    logits = np.zeros((len(test), classes), np.float32)
    for start in range(0, len(test), _BLOCK):
        block = slice(start, start + _BLOCK)
        logits[block] = (every[torch.from_numpy(test[block])].float() @ weight.T + bias).numpy()
    return probabilities(logits)
