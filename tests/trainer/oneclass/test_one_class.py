"""`edgetl train --recipe one-class`, from pictures to verdicts in float."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgetl.trainer.run_folder import BANK, BEST, read_bank, read_run
from tests.cli.calling import call, refused
from tests.good_parts import write


def train(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("train", "--recipe", "one-class", "--data", data, "--model", "resnet_tiny", "--weights", "none", "--imgsz", 64,
            "--bank", 50, "--out", out, *more)  # fmt: skip


def test_scratches_are_found_though_none_was_ever_shown(good_run: Path, good_parts: Path) -> None:
    found = json.loads(call("evaluate", good_run, "--data", good_parts, "--json").out)
    assert found["auroc"]["value"] > 0.97
    assert found["auroc"]["bad"] == 20 and found["auroc"]["interval"]["low"] < found["auroc"]["value"]
    assert found["verdicts"]["anomaly"]["OK"] <= 3


def test_pictures_of_other_classes_are_named_where_none_is_good(good_run: Path, few_pictures: Path) -> None:
    answer = call("evaluate", good_run, "--data", few_pictures, "--split", "all")
    assert answer.code == 0
    assert "warning: no picture of class good; all are taken as bad parts (" in answer.err


def test_the_false_alarms_on_fresh_good_parts_are_about_as_many_as_was_said(good_run: Path, good_parts: Path) -> None:
    """1 % of 60 fresh parts; four or more would come up in one of four hundred such trials."""
    found = json.loads(call("evaluate", good_run, "--data", good_parts, "--json").out)
    good = found["verdicts"]["good"]
    assert good["NG"] + good["UNKNOWN"] <= 3


def test_run_folder_holds_what_the_verdicts_rest_on(good_run: Path) -> None:
    run = read_run(good_run)
    assert run.record.complete and run.record.detector is not None
    assert run.record.rule.labels == ("good", "anomaly") and run.record.rule.limits is not None
    assert run.record.rule.limits.ok_below == 0.5 < run.record.rule.limits.ng_above < 1
    assert run.record.detector.false_alarm == 0.01 and run.record.detector.held_out > 60
    bank = read_bank(good_run)
    assert bank.entries.shape == (200, run.record.detector.channels)
    assert {run.splits[i].split for i in bank.pictures} == {"train"}
    assert {s.label for s in run.splits} == {"good", "anomaly"}


def test_same_seed_gives_the_same_run(good_parts: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert call(*train(good_parts, tmp_path / name)).code == 0
    for file in (BANK, BEST):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert read_run(tmp_path / "a").record.rule == read_run(tmp_path / "b").record.rule


def test_a_folder_of_good_parts_alone_is_divided_and_learned_from(tmp_path: Path) -> None:
    write(tmp_path / "data/good", 40, 0)
    assert call(*train(tmp_path / "data", tmp_path / "run")).code == 0
    run = read_run(tmp_path / "run")
    assert {s.split for s in run.splits} == {"train", "val", "test"}
    assert {s.split for s in run.splits if s.calibrates} == {"train"}
    assert {s.label for s in run.splits} == {"good"}


def test_bad_parts_of_an_unsplit_folder_only_judge(tmp_path: Path) -> None:
    write(tmp_path / "data/ok", 40, 0)
    write(tmp_path / "data/scratched", 10, 500, scratched=True)
    assert call(*train(tmp_path / "data", tmp_path / "run")).code == 0
    of_bad = [s.split for s in read_run(tmp_path / "run").splits if s.label == "anomaly"]
    assert sorted(of_bad) == ["test"] * 5 + ["val"] * 5


def test_a_bad_part_among_the_good_ones_is_named(good_parts: Path, tmp_path: Path) -> None:
    shutil.copytree(good_parts, tmp_path / "data")
    (tmp_path / "data/test/scratched/007.png").rename(tmp_path / "data/train/good/slipped.png")
    done = call(*train(tmp_path / "data", tmp_path / "run"))
    assert "train/good/slipped.png lies at" in done.err and "is it good?" in done.err


def test_limits_can_be_set_by_what_mistakes_cost(good_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(good_run, run)
    done = call("decide", run, "--cost-escape", 100, "--cost-false-alarm", 1, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["limits"]["ok_below"] == found["limits"]["ng_above"] == pytest.approx(1 / 101)
    assert found["test"]["escapes"]["of"] == 20


def test_a_later_run_keeps_backbone_and_splits(good_run: Path, good_parts: Path, tmp_path: Path) -> None:
    done = call("train", "--from", good_run, "--recipe", "one-class", "--data", good_parts, "--out", tmp_path / "later")
    assert done.code == 0, done.err
    before, after = read_run(good_run), read_run(tmp_path / "later")
    assert before.splits == after.splits and before.record.rule == after.record.rule
    assert after.record.weights == f"run:{good_run.name}"


@pytest.mark.parametrize(
    ("folders", "flags", "kind", "said"),
    [
        ({"good": 1}, (), "E_DATASET", "1 readable pictures of the good class good; one-class training needs at least 20"),
        ({"train/good": 30, "train/scratched": 3}, (), "E_DATASET", "train holds class scratched beside the good class good"),
        ({"a": 30, "b": 30}, (), "E_DATASET", "which class is good? train has a, b; name one with --ok"),
        ({"a": 30}, ("--ok", "c"), "E_USAGE", "--ok c: no such class to train with; the data set has a"),
        ({"test/good": 30}, (), "E_DATASET", "which class is good? train has none"),
        ({"anomaly": 30}, (), "E_DATASET", "the good class is called anomaly; rename its folder"),
        ({"a": 30, "b": 30}, ("--ok", "a", "--ok", "b"), "E_USAGE", "one-class training has one good class"),
        ({"good": 30}, ("--false-alarm", "60%"), "E_USAGE", "--false-alarm"),
        ({"good": 30}, ("--bank", 3), "E_USAGE", "--bank"),
        ({"good": 30}, ("--resume",), "E_USAGE", "no args.yaml"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_one_clear_line(
    folders: dict[str, int], flags: tuple[object, ...], kind: str, said: str, tmp_path: Path
) -> None:
    for number, (name, count) in enumerate(folders.items()):
        write(tmp_path / "data" / name, count, 100 * number)
    refused(call(*train(tmp_path / "data", tmp_path / "run", *flags)), 2, kind, said)
