"""Patches are chosen so that none of the others is far from all of them."""

from __future__ import annotations

import numpy as np

from edgetl.trainer.oneclass.bank import spread_out


def test_a_rare_patch_is_remembered_among_thousands_of_usual_ones() -> None:
    random = np.random.default_rng(0)
    usual = random.normal(0, 1, (5000, 8)).astype(np.float32)
    rare = np.full((1, 8), 30, np.float32)
    assert 5000 in spread_out(np.concatenate([usual, rare]), 5)


def test_every_point_is_nearer_to_its_entry_than_by_chance() -> None:
    points = np.random.default_rng(1).normal(0, 1, (2000, 4)).astype(np.float32)

    def farthest(picks: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        return float(np.sqrt(((points[:, None] - points[picks][None]) ** 2).sum(2)).min(1).max())

    chosen = spread_out(points, 100)
    assert len(set(chosen.tolist())) == 100
    by_chance = min(farthest(np.random.default_rng(s).choice(2000, 100, replace=False)) for s in range(5))
    assert farthest(chosen) < 0.75 * by_chance
