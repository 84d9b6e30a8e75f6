"""Distances by hand, in the smallest detector there can be."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.anomaly import Detector, DetectorRecord, Grid, read_bank
from edgetl.runtime.anomaly.detector import patches

RECORD = DetectorRecord(grids=(Grid(4, 4, 2), Grid(2, 2, 1)), entries=2, false_alarm=0.01, held_out=50)
BANK = np.array([[0, 0, 0], [3, 0, 4]], np.float32)


def features(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([fine.reshape(-1), coarse.reshape(-1)]).astype(np.float32)


def test_distance_is_that_of_the_nearest_entry_with_the_coarse_map_under_the_fine_one() -> None:
    random = np.random.default_rng(0)
    fine, coarse = random.normal(size=(4, 4, 2)), random.normal(size=(2, 2, 1))
    under = coarse.repeat(2, axis=0).repeat(2, axis=1)
    whole = np.concatenate([fine, under], axis=2)
    wanted = np.sqrt(((whole[:, :, None] - BANK) ** 2).sum(axis=3)).min(axis=2)
    found = Detector(RECORD, BANK, 1.0, 0.5).distances(features(fine, coarse))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_an_entry_that_is_left_out_does_not_count() -> None:
    nothing = features(np.zeros((4, 4, 2)), np.zeros((2, 2, 1)))
    detector = Detector(RECORD, BANK, 1.0, 0.5)
    assert detector.distances(nothing).max() == 0
    np.testing.assert_allclose(detector.distances(nothing, np.array([True, False])), 5.0)


def test_patches_of_a_picture_lie_at_no_distance_from_it() -> None:
    random = np.random.default_rng(1)
    seen = features(random.normal(size=(4, 4, 2)), random.normal(size=(2, 2, 1)))
    entries = patches(seen, RECORD)
    assert Detector(RECORD, entries, 1.0, 0.5).distances(seen).max() < 1e-2


def test_logit_counts_the_spreads_above_the_threshold() -> None:
    detector = Detector(RECORD, np.zeros((1, 3), np.float32), 1.0, 0.5)
    for distance in (0.5, 1.0, 4.0):
        logits = detector.logits(features(np.full((4, 4, 2), distance / np.sqrt(2)), np.zeros((2, 2, 1))))
        np.testing.assert_allclose(logits, [0, np.log(distance) / 0.5], atol=1e-5)


def test_features_that_are_not_finite_give_no_score() -> None:
    broken = features(np.full((4, 4, 2), np.nan), np.zeros((2, 2, 1)))
    assert not np.isfinite(Detector(RECORD, BANK, 1.0, 0.5).logits(broken)[1])


def test_output_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"gives \(35,\) values, its detector takes 36"):
        Detector(RECORD, BANK, 1.0, 0.5).distances(np.zeros(35, np.float32))


def test_bank_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match="expected 24"):
        read_bank(b"\0" * 23, RECORD, "here")
