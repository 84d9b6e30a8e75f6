"""An export that cannot be right is refused in one line, before minutes are spent, and leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.calling import call, refused
from tests.conftest import OPEN_GATE, edgetl, ended_by_sigterm
from tests.exporter.conftest import CONVERTER, through
from tests.runtime.pictures import noise, save


@pytest.fixture
def moved(small_run: Path, small_data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Copies of the run and of its pictures, free to be damaged."""
    shutil.copytree(small_run, tmp_path / "run")
    shutil.copytree(small_data, tmp_path / "data")
    return tmp_path / "run", tmp_path / "data"


def picture_of(run: Path, data: Path, split: str) -> Path:
    from edgetl.trainer.run_folder import read_run

    return data / next(
        s.path for s in read_run(run).splits if split in (s.split, "calibration" if s.calibrates else "")
    )


@pytest.mark.parametrize("split", ["val", "calibration", "test"])
def test_changed_picture_is_named(moved: tuple[Path, Path], tmp_path: Path, split: str) -> None:
    """By a hundredth of its light, so that no eye would see it."""
    run, data = moved
    path = picture_of(run, data, split)
    image = cv2.imread(str(path))
    save(path, np.asarray(cv2.add(image, 1), np.uint8))
    answer = call("export", run, "--data", data, "--out", tmp_path / "out/a.edgetl")
    refused(answer, 1, "E_EXPORT", str(path), "was changed since the training run", "--data")
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_picture_is_named(moved: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = moved
    path = picture_of(run, data, "val")
    path.unlink()
    refused(call("export", run, "--data", data, "--out", tmp_path / "a.edgetl"), 1, "E_EXPORT", str(path), "is missing")
    train = picture_of(run, data, "train")
    path.write_bytes(train.read_bytes())
    train.unlink()
    answer = call("export", run, "--data", data, "--out", tmp_path / "a.edgetl")
    refused(answer, 1, "E_EXPORT", "--data")
    assert answer.err.count("\n") == 1, "before any work"
    shutil.rmtree(data)
    refused(call("export", run, "--data", data, "--out", tmp_path / "a.edgetl"), 1, "E_EXPORT", "is missing", "--data")
    assert not (tmp_path / "a.edgetl").exists()


def test_out_below_a_file_or_in_place_of_a_folder(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    refused(
        call("export", small_run, "--out", tmp_path / "file/a.edgetl"),
        1,
        "E_STORAGE",
        "a file of that name is in the way",
    )
    refused(call("export", small_run, "--out", tmp_path / "folder"), 1, "E_STORAGE", "it is a folder")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.slow
def test_full_disk(small_run: Path, converted: tuple[str, str], full_disk: Path, temporary: Path) -> None:
    answer = call("export", small_run, "--out", full_disk / "a.edgetl", *OPEN_GATE, "--min-score", 0, *converted)
    refused(answer, 1, "E_STORAGE", str(full_disk / "a.edgetl"), "the disk is full")
    assert list(full_disk.iterdir()) == []
    # torch lays its own cache there, if nothing before in this process made it do so elsewhere.
    assert [path for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []


@pytest.mark.parametrize("name", ["metrics.json", "splits.json", "weights/best.safetensors"])
def test_run_that_lacks_a_piece(moved: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    run, data = moved
    (run / name).unlink()
    refused(call("export", run, "--data", data, "--out", tmp_path / "a.edgetl"), 1, "E_RUN", name)
    assert not (tmp_path / "a.edgetl").exists()


@pytest.mark.parametrize("what", ["empty folder", "nothing", "bundle"])
def test_what_is_no_run(tmp_path: Path, small_bundle: Path, what: str) -> None:
    target = {"empty folder": tmp_path, "nothing": tmp_path / "none", "bundle": small_bundle}[what]
    refused(call("export", target, "--out", tmp_path / "a.edgetl"), 2, "E_USAGE", str(target), "not a run folder")


@pytest.mark.slow
def test_log_that_cannot_lie_in_the_run_stays_in_the_work_folder(
    small_run: Path, tmp_path: Path, temporary: Path
) -> None:
    shutil.copytree(small_run, tmp_path / "run")
    (tmp_path / "run" / "export-b.log").mkdir()  # in the way, as a read-only folder would be
    answer = call(
        "export", tmp_path / "run", "--out", tmp_path / "out/b.edgetl", *through(CONVERTER, "SIGSEGV", tmp_path)
    )
    refused(answer, 1, "E_EXPORT", "crashed with SIGSEGV", "its log is ")
    assert Path(answer.last.rpartition("its log is ")[2]).is_file()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--min-score", "2"),
        ("--max-drop", "little"),
        ("--max-drop", "nan"),
        ("--min-score", "nan"),
        ("--max-flips", "nan"),
        ("--max-recall-loss", "x"),
        ("--max-recall-loss", "-3"),
        ("--max-flips", "-1"),
        ("--max-flips", "inf"),
        ("--budget", "nan"),
        ("--budget", "-1"),
        ("--rung", "int7"),
    ],
    ids=lambda words: "=".join(words),
)
def test_option_that_cannot_be_meant(small_run: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    answer = call("export", small_run, "--out", tmp_path / "a.edgetl", *words)
    assert answer.code == 2, answer
    assert words[0] in answer.err


def test_file_in_the_place_of_the_report_is_met_before_any_work(
    small_run: Path, small_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    answer = call("export", small_run, "--out", tmp_path / "a.edgetl", "--report", tmp_path / "file")
    refused(answer, 1, "E_STORAGE", str(tmp_path / "file"))
    assert answer.err.count("\n") == 1
    answer = call("parity", small_run, small_bundle, "--out", tmp_path / "file")
    refused(answer, 1, "E_STORAGE", str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"


def test_full_disk_for_what_lies_between_is_told_as_such(
    small_run: Path, full_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(full_disk))
    done = edgetl("export", small_run, "--out", tmp_path / "a.edgetl")
    assert done.returncode == 1 and "E_STORAGE" in done.stderr and "the disk is full" in done.stderr, done.stderr
    assert not (tmp_path / "a.edgetl").exists()


def test_folder_that_cannot_calibrate_is_met_before_any_work(small_run: Path, tmp_path: Path) -> None:
    answer = call("export", small_run, "--out", tmp_path / "a.edgetl", "--calibration", tmp_path / "none")
    refused(answer, 2, "E_USAGE", "no such folder")
    assert answer.err.count("\n") == 1


def test_sigterm_leaves_no_work_folder(small_run: Path, tmp_path: Path) -> None:
    ended_by_sigterm(tmp_path, "edgetl-export-*/*", "export", small_run, "--out", tmp_path / "a.edgetl")
    assert not list(tmp_path.glob("edgetl-export-*")) and not (tmp_path / "a.edgetl").exists()


def test_pictures_elsewhere_are_found_with_data(moved: tuple[Path, Path], tmp_path: Path) -> None:
    """A run keeps its pictures by name and hash, not by place: only what is really missing is refused."""
    run, data = moved
    path = picture_of(run, data, "train")
    save(path, noise())  # train pictures are not measured with
    path = picture_of(run, data, "val")
    path.rename(path.with_name("elsewhere.jpg"))
    refused(call("export", run, "--data", data, "--out", tmp_path / "a.edgetl"), 1, "E_EXPORT", path.name)
