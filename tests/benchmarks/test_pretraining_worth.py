"""The worth of pretraining: the same pictures for every start, and a table that computes what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetl.benchmarks.pretraining_worth import STARTS, Case, Row, cases, choose, recovered, spread, table


def test_every_start_sees_the_same_pictures_and_all_of_test(tmp_path: Path) -> None:
    source = tmp_path / "set"
    for split, count in (("train", 30), ("test", 7)):
        for label in ("good", "bad"):
            (source / split / label).mkdir(parents=True)
            for n in range(count):
                (source / split / label / f"{n}.png").write_bytes(b"")
    names = []
    for place, count, seed in (("a", "10", 0), ("b", "10", 0), ("c", "10", 1), ("d", "all", 0)):
        choose(source, tmp_path / place, count, seed)
        assert len(list((tmp_path / place / "test").rglob("*.png"))) == 14
        names.append(sorted(p.relative_to(tmp_path / place) for p in (tmp_path / place / "train").rglob("*.png")))
    assert names[0] == names[1] != names[2]
    assert [len(n) for n in names] == [20, 20, 20, 60]


def test_intervals_are_students() -> None:
    assert spread([50.0, 52.0, 54.0, 56.0, 58.0]) == pytest.approx((54.0, 2.78 * np.sqrt(10 / 5)))
    assert np.isnan(spread([50.0])[1])


def test_the_table_says_how_much_of_the_gain_is_recovered() -> None:
    assert recovered({"nothing": 30, "drawn": 45, "ImageNet": 80}) == 30
    rows = [
        Row(Case("probe", "trashnet", "10", start, 0), value) for start, value in zip(STARTS, (30, 45, 80), strict=True)
    ]
    assert "| probe | trashnet | 10 | 30.0 | 45.0 | 80.0 | 30 % |" in table(rows)
    assert "| probe | trashnet | 10 | 30.0 | 45.0 |  |  |" in table(rows[:2])


def test_a_seed_is_whole_before_the_next_begins() -> None:
    asked = list(cases(["probe", "finetune"], ["screws", "trashnet"], ["10", "all"], 2))
    assert len(asked) == len(set(asked)) == 2 * 2 * 2 * 3 * 2
    assert [case.seed for case in asked] == sorted(case.seed for case in asked)
