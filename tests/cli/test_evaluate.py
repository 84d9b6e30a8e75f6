"""`edgetl evaluate`: the same figures for the same pictures, of a run and of a bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgetl.runtime.bundle import open_bundle
from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused
from tests.runtime.pictures import noise, save


def evaluated(*args: object) -> dict[str, Any]:
    answer = call("evaluate", *args, "--json")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


def measured(bundle: Path, model: str, split: str) -> Any:
    with open_bundle(bundle) as opened:
        return next(row for row in opened.manifest.measured if (row.model, row.split) == (model, split))


@pytest.fixture(scope="session")
def flat_data(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures without train and test folders, under other names."""
    folder = tmp_path_factory.mktemp("flat")
    for path in small_data.rglob("*.jpg"):
        target = folder / path.parent.name / f"renamed-{path.parent.parent.name}-{path.name}"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return folder


def test_run_gives_the_accuracy_that_the_bundle_says_float_had(
    small_run: Path, small_bundle: Path, small_data: Path
) -> None:
    found = evaluated(small_run, "--data", small_data)
    row = measured(small_bundle, "float32 (torch)", "test")
    assert (found["n"], found["balanced_accuracy"]) == (row.n, row.balanced_accuracy) == (20, row.balanced_accuracy)
    assert found["balanced_accuracy_interval"] == {"low": row.low, "high": row.high}


@pytest.mark.parametrize(
    ("precision", "interpreter", "model"),
    [
        ("int8", "litert", "model/int8.tflite"),
        ("int8", "onnxruntime", "model/int8.onnx"),
        ("float32", "litert", "model/float32.tflite"),
    ],
)
def test_bundle_gives_what_its_manifest_says(
    small_bundle: Path, small_data: Path, precision: str, interpreter: str, model: str
) -> None:
    found = evaluated(small_bundle, "--data", small_data, "--precision", precision, "--interpreter", interpreter)
    assert found["balanced_accuracy"] == measured(small_bundle, model, "test").balanced_accuracy
    assert found["model"].startswith(f"{model} ({interpreter} ")


def test_fastest_interpreter_is_chosen_without_a_name(small_bundle: Path, small_data: Path) -> None:
    found = evaluated(small_bundle, "--data", small_data)
    model = found["model"].partition(" ")[0]
    assert found["balanced_accuracy"] == measured(small_bundle, model, "test").balanced_accuracy


def test_json_holds_what_the_table_shows(small_run: Path, small_data: Path) -> None:
    found = evaluated(small_run, "--data", small_data)
    labels = read_run(small_run).record.rule.labels
    assert tuple(found["labels"]) == labels and set(found["per_class"]) == set(labels)
    assert all(row["pictures"] == 4 for row in found["per_class"].values())
    recalls = [row["recall"] for row in found["per_class"].values()]
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / 5)
    assert [found["confusion"][i][i] / 4 for i in range(5)] == recalls
    assert {label: sum(counts.values()) for label, counts in found["verdicts"].items()} == dict.fromkeys(labels, 4)
    text = call("evaluate", small_run, "--data", small_data).out
    assert f"balanced accuracy {100 * found['balanced_accuracy']:.2f} %" in text
    assert all(label in text for label in labels)


@pytest.mark.parametrize("target", ["small_run", "small_bundle"])
def test_unsplit_folder_is_judged_by_the_recorded_splits(
    target: str, flat_data: Path, small_data: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(target)
    more = ("--interpreter", "litert") if target == "small_bundle" else ()
    counts = {
        split: evaluated(path, "--data", flat_data, "--split", split, *more)["n"]
        for split in ("train", "val", "test", "all")
    }
    assert counts == {"train": 70, "val": 10, "test": 20, "all": 100}
    by_hash = evaluated(path, "--data", flat_data, "--split", "test", *more)
    by_folder = evaluated(path, "--data", small_data, "--split", "test", *more)
    assert by_hash["confusion"] == by_folder["confusion"]


def test_pictures_that_the_run_never_saw_are_in_no_split(small_run: Path, tmp_path: Path) -> None:
    save(tmp_path / "ok/new.png", noise())
    save(tmp_path / "stain/new.png", noise(seed=1))
    refused(call("evaluate", small_run, "--data", tmp_path), 2, "E_DATASET", "'test'", "--split all")
    assert evaluated(small_run, "--data", tmp_path, "--split", "all")["n"] == 2


def test_unknown_class_is_named(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    shutil.copytree(small_data / "test", tmp_path / "test")
    save(tmp_path / "test/dent/a.png", noise())
    refused(
        call("evaluate", small_run, "--data", tmp_path), 2, "E_DATASET", "dent is unknown to the model", "missing_hole"
    )


def test_damaged_picture_is_passed_over_and_told(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    shutil.copytree(small_data / "test", tmp_path / "test")
    damaged = min((tmp_path / "test/ok").iterdir())
    damaged.write_bytes(b"no picture")
    found = evaluated(small_run, "--data", tmp_path)
    assert (found["n"], found["per_class"]["ok"]["pictures"]) == (19, 3)
    assert list(found["passed_over"]) == [f"test/ok/{damaged.name}"]


def test_confusion_is_written_as_picture_and_json(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    found = evaluated(small_run, "--data", small_data, "--out", tmp_path / "new/plots")
    assert (tmp_path / "new/plots/confusion_test.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "new/plots/confusion_test.json").read_text()) == found


def test_targets_and_data_that_are_not_there(
    small_run: Path, small_bundle: Path, small_data: Path, tmp_path: Path
) -> None:
    refused(call("evaluate", tmp_path / "none", "--data", small_data), 2, "E_USAGE", "no such run or bundle")
    refused(call("evaluate", tmp_path, "--data", small_data), 2, "E_USAGE", "not a run folder")
    refused(call("evaluate", small_run, "--data", tmp_path / "none"), 2, "E_DATASET", "no such folder")
    refused(
        call("evaluate", small_bundle, "--data", small_data, "--interpreter", "abacus"),
        2,
        "E_USAGE",
        "abacus",
        "litert",
    )
    (tmp_path / "junk.edgetl").write_bytes(b"PK junk")
    refused(call("evaluate", tmp_path / "junk.edgetl", "--data", small_data), 1, "E_FORMAT", "junk.edgetl")


@pytest.mark.parametrize("words", [("--interpreter", "litert"), ("--precision", "int8")], ids=lambda words: words[0])
def test_run_has_no_models_to_choose_among(small_run: Path, small_data: Path, words: tuple[str, str]) -> None:
    answer = call("evaluate", small_run, "--data", small_data, *words)
    refused(answer, 2, "E_USAGE", words[0], str(small_run), "name the bundle")
