"""The table of recipes says how far `auto` is from the best one by hand, from the rows that are there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.recipes import AUTO, BY_HAND, Case, Row, cases, same_run, table, taken
from edgetl.benchmarks.seeded_weights import write_seeded_weights
from edgetl.runtime.preprocess import Preprocessing
from edgetl.runtime.sim import write_dataset


def row(recipe: str, seed: int, value: float, data: str = "screws", taken: str = "", margin: float = 0.0) -> Row:
    return Row(Case(data, "mobilenet_v2", recipe, seed), value, 1.0, taken or recipe, margin)


def test_auto_is_set_beside_the_best_mean_by_hand_and_beside_the_probe() -> None:
    rows = [row("auto", 0, 90.0), row("auto", 1, 92.0), row("probe", 0, 88.0), row("probe", 1, 90.0),
            row("finetune", 0, 94.0), row("finetune", 1, 91.0)]  # fmt: skip
    assert "| screws | mobilenet_v2 | 2 | 91.0 ± 1.4 | 89.0 ± 1.4 | 92.5 ± 2.1 | -1.5 | +2.0 |" in table(rows)


def test_a_table_that_is_not_whole_claims_nothing() -> None:
    rows = [row("auto", 0, 90.0), row("probe", 0, 88.0), row("probe", 0, 70.0, "trashnet")]
    lines = table(rows).splitlines()
    assert lines[2] == "| screws | mobilenet_v2 | 1 | 90.0 | 88.0 | +2.0 | +2.0 |"
    assert lines[3] == "| trashnet | mobilenet_v2 | 1 |  | 70.0 |  |  |"


def test_a_recipe_of_fewer_seeds_is_set_beside_auto_on_these() -> None:
    rows = [
        row("auto", 0, 80.0),
        row("auto", 1, 90.0),
        row("probe", 0, 79.0),
        row("probe", 1, 88.0),
        row("blocks", 1, 89.0),
    ]
    assert "| 2 | 85.0 ± 7.1 | 83.5 ± 6.4 | 89.0 (1) | +1.0 | +1.5 |" in table(rows)


def test_a_seed_is_whole_before_the_next_begins() -> None:
    asked = list(cases(["screws", "trashnet"], ["mobilenet_v2"], [AUTO, *BY_HAND], 3))
    assert len(asked) == len(set(asked)) == 2 * 4 * 3
    assert [case.seed for case in asked] == sorted(case.seed for case in asked)


def test_what_auto_trained_is_not_trained_again_by_hand() -> None:
    rows = [row("auto", 0, 91.0, taken="finetune", margin=-1.0), row("auto", 1, 88.0, taken="finetune", margin=1.0)]
    by_hand = Case("screws", "mobilenet_v2", "finetune", 0)
    assert same_run(by_hand, rows) == Row(by_hand, 91.0, 0.0, "finetune", -1.0)
    assert same_run(msgspec.structs.replace(by_hand, recipe="blocks"), rows) is None
    assert same_run(msgspec.structs.replace(by_hand, seed=1), rows) is None  # it had to beat its probe by more
    told = [msgspec.structs.replace(rows[0], blend_least=0.75)]
    assert same_run(by_hand, told) is None  # by hand, val chooses the blend


def test_a_recipe_is_the_same_run_whether_auto_took_it_or_somebody_named_it(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", seed=0, pictures_per_class=40, width=96, height=96, splits={"train": 1.0})
    weights = write_seeded_weights(
        "timm:test_resnet", tmp_path / "data" / "train", Preprocessing(size=32), tmp_path / "w.pth"
    )
    found = {}
    for recipe in ("auto", "finetune"):
        run = tmp_path / recipe
        run_edgetl("train", "--data", tmp_path / "data", "--model", "timm:test_resnet", "--weights", weights, "--imgsz", 32,
                   "--recipe", recipe, "--epochs", 2, "--out", run)  # fmt: skip
        found[recipe] = (taken(run), (run / "weights" / "best.safetensors").read_bytes())
    assert found["auto"] == found["finetune"]
    assert found["auto"][0] == ("finetune", -1.0, None)
