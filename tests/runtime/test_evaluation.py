"""Accuracy from the file on: the right pictures, the right counts, bad files reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgetl.errors import DatasetError
from edgetl.runtime.dataset import sha256_of
from edgetl.runtime.evaluation import Evaluation, check_labels, evaluate, pictures_of_split
from edgetl.runtime.interpreters import open_interpreter
from tests.runtime import pictures as pic
from tests.runtime import tiny

MODEL = open_interpreter("litert", tiny.tflite(), "m")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten plain pictures; one red one lies among the blue ones, and one is undecided."""
    for label, colours in {
        "red": ["red"] * 4,
        "green": ["green"] * 3 + ["grey"],
        "blue": ["blue", "red"],
    }.items():
        for number, colour in enumerate(colours):
            image = tiny.plain(colour)
            image[0, 0] = number  # so that no two files are equal
            pic.save(tmp_path / "parts" / label / f"{number}.png", image)
    return tmp_path / "parts"


def evaluated(root: Path, split: str = "all", recorded: dict[str, str] | None = None) -> Evaluation:
    pictures = pictures_of_split(root, split, recorded or {}).pictures
    return evaluate(root, pictures, MODEL.logits, tiny.HOW, tiny.RULE, model="m", split=split)


def test_counts_are_those_of_the_pictures(data: Path) -> None:
    result = evaluated(data)
    assert result.metrics.n == 10
    assert result.metrics.confusion[0] == [4, 0, 0]
    assert result.metrics.confusion[2] == [1, 0, 1]
    assert result.metrics.per_class["blue"].recall == 0.5
    assert result.verdicts["blue"] == {"OK": 0, "NG": 2, "UNKNOWN": 0}
    assert result.verdicts["green"] == {"OK": 3, "NG": 0, "UNKNOWN": 1}
    assert result.predicted["blue/1.png"] == "red"
    assert result.passed_over == {}


def test_unreadable_picture_is_reported_and_not_counted(data: Path) -> None:
    (data / "red" / "bad.png").write_bytes(b"not a picture")
    result = evaluated(data)
    assert result.metrics.n == 10
    assert list(result.passed_over) == ["red/bad.png"]


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match="none of the 1 pictures can be read"):
        evaluated(tmp_path)


def test_recorded_hashes_choose_the_split_of_an_unsplit_folder(data: Path) -> None:
    """Also after a picture was renamed: the hash counts, not the name."""
    chosen, other = data / "red/0.png", data / "red/1.png"
    recorded = {sha256_of(chosen): "test", sha256_of(other): "train"}
    chosen.rename(data / "red/renamed.png")
    pictures = pictures_of_split(data, "test", recorded).pictures
    assert [p.path for p in pictures] == ["red/renamed.png"]


def test_split_folder_is_used_before_the_record(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pic.save(tmp_path / split / "red" / "a.png", tiny.plain("red"))
    pictures = pictures_of_split(tmp_path, "test", {sha256_of(tmp_path / "train/red/a.png"): "test"}).pictures
    assert [p.path for p in pictures] == ["test/red/a.png"]


def test_what_trained_does_not_test_though_it_lies_in_the_test_folder(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test", "test")):
        image = tiny.plain("red")
        image[0, 0] = number
        pic.save(tmp_path / split / "red" / f"{number}.png", image)
    recorded = {
        sha256_of(tmp_path / "test/red/2.png"): "train",
        sha256_of(tmp_path / "train/red/0.png"): "val",
    }
    tested, judged = (pictures_of_split(tmp_path, split, recorded) for split in ("test", "val"))
    assert [p.path for p in tested.pictures] == ["test/red/3.png"]
    assert tested.left_out == {"test/red/2.png": "the training run has it in train"}
    assert sorted(p.path for p in judged.pictures) == ["train/red/0.png", "val/red/1.png"]


def test_picture_in_two_classes_judges_nothing(data: Path) -> None:
    shutil.copy(data / "red/2.png", data / "blue/copy.png")
    found = pictures_of_split(
        data, "test", {sha256_of(data / "red/2.png"): "test", sha256_of(data / "red/3.png"): "test"}
    )
    assert [p.path for p in found.pictures] == ["red/3.png"]
    assert set(found.left_out) == {"red/2.png", "blue/copy.png"}
    assert found.left_out["red/2.png"] == "the same picture is in class blue and red"


def test_split_without_pictures_says_what_to_do(data: Path) -> None:
    with pytest.raises(DatasetError, match=r"no pictures of split 'val'.*--split all"):
        pictures_of_split(data, "val", {})


def test_class_that_the_model_does_not_know_is_refused(data: Path) -> None:
    pic.save(data / "purple" / "a.png", tiny.plain("red"))
    with pytest.raises(DatasetError, match="class purple is unknown to the model, which has red, green, blue"):
        evaluated(data)
    pictures = pictures_of_split(data, "all", {}).pictures
    check_labels(data, pictures, (*tiny.LABELS, "purple"))


def test_progress_goes_to_the_end(data: Path) -> None:
    seen: list[tuple[int, int]] = []
    pictures = pictures_of_split(data, "all", {}).pictures
    evaluate(data, pictures, MODEL.logits, tiny.HOW, tiny.RULE, model="m", split="all",
             progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert seen == [(n, 10) for n in range(1, 11)]
