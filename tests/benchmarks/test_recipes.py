"""The table of recipes says how far `auto` is from the best one by hand, from the rows that are there."""

from __future__ import annotations

from edgetl.benchmarks.recipes import AUTO, BY_HAND, Case, Row, cases, table


def row(recipe: str, seed: int, value: float, data: str = "screws") -> Row:
    return Row(Case(data, "mobilenet_v2", recipe, seed), value, 1.0)


def test_auto_is_set_beside_the_best_mean_by_hand_and_beside_the_probe() -> None:
    rows = [row("auto", 0, 90.0), row("auto", 1, 92.0), row("probe", 0, 88.0), row("probe", 1, 90.0),
            row("finetune", 0, 94.0), row("finetune", 1, 91.0)]  # fmt: skip
    assert "| screws | mobilenet_v2 | 2 | 91.0 ± 1.4 | 89.0 ± 1.4 | 92.5 ± 2.1 | -1.5 | +2.0 |" in table(rows)


def test_a_table_that_is_not_whole_claims_nothing() -> None:
    rows = [row("auto", 0, 90.0), row("probe", 0, 88.0), row("probe", 0, 70.0, "trashnet")]
    lines = table(rows).splitlines()
    assert lines[2] == "| screws | mobilenet_v2 | 1 | 90.0 | 88.0 | +2.0 | +2.0 |"
    assert lines[3] == "| trashnet | mobilenet_v2 | 1 |  | 70.0 |  |  |"


def test_a_seed_is_whole_before_the_next_begins() -> None:
    asked = list(cases(["screws", "trashnet"], ["mobilenet_v2"], [AUTO, *BY_HAND], 3))
    assert len(asked) == len(set(asked)) == 2 * 4 * 3
    assert [case.seed for case in asked] == sorted(case.seed for case in asked)
