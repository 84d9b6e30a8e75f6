"""The demo's training over epochs: whole seeds, and a table of means and extremes."""

from __future__ import annotations

from edgetl.benchmarks.demo_training import STARTS, Case, Row, cases, table
from edgetl.demo import EPOCHS, MODEL, RATE, WEIGHTS


def test_the_demos_own_training_is_among_them() -> None:
    own = [start for start in STARTS.values() if (start.model, start.weights, start.rate) == (MODEL, WEIGHTS, RATE)]
    assert any(EPOCHS in start.epochs for start in own)


def test_a_seed_is_whole_before_the_next_begins() -> None:
    asked = list(cases(list(STARTS), 2))
    assert len(asked) == len(set(asked)) == 2 * sum(len(start.epochs) for start in STARTS.values())
    assert [case.seed for case in asked] == sorted(case.seed for case in asked)


def test_the_table_has_means_and_extremes_over_seeds() -> None:
    found = [
        Row(Case("built-in", 6, 0), 99.0, 30.0),
        Row(Case("built-in", 6, 1), 96.0, 34.0),
        Row(Case("built-in", 12, 0), 100.0, 60.0),
    ]
    assert "| built-in | 6 | 97.5 (96.0 to 99.0) | 32 |" in table(found)
    assert "| built-in | 12 | 100.0 (100.0 to 100.0) | 60 |" in table(found)
