"""Doubtful labels are found in clean clusters, all of them and nothing else."""

from __future__ import annotations

import numpy as np

from edgetl.trainer.datacheck.crossfit import FOLDS, folds_of, out_of_fold
from edgetl.trainer.datacheck.labels import suspects


def test_swapped_labels_are_all_found_and_no_other() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    features = rng.normal(0, 1, (120, 12)) + 6 * np.eye(12)[truth]
    told = truth.copy()
    told[[3, 50, 90]] = [1, 2, 0]
    chances = out_of_fold(features, told, list(range(120)), 3)
    found = suspects([str(i) for i in range(120)], told, chances, ("a", "b", "c"))
    assert {(s.path, s.label, s.rather) for s in found} == {("3", "b", "a"), ("50", "c", "b"), ("90", "a", "c")}


def test_near_duplicates_stay_in_one_fold_and_classes_are_spread() -> None:
    truth = np.repeat([0, 1], 50)
    groups = [i // 2 for i in range(100)]
    folds = folds_of(truth, groups)
    assert all(folds[i] == folds[i + 1] for i in range(0, 100, 2))
    for label in (0, 1):
        assert np.bincount(folds[truth == label], minlength=FOLDS).tolist() == [10] * FOLDS
