"""`edgetl sim-data`: a data set that the trainer takes, in a folder that was empty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.picture import read_picture
from tests.conftest import edgetl


def test_writes_what_was_asked_for(tmp_path: Path) -> None:
    done = edgetl("sim-data", "--out", tmp_path / "data", "--train", 2, "--test", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"data": str(tmp_path / "data"), "pictures": 15}
    listing = list_pictures(tmp_path / "data")
    assert len(listing.labels) == 5
    assert (len(listing.of_split("train")), len(listing.of_split("test"))) == (10, 5)
    assert all(read_picture(tmp_path / "data" / p.path).ndim == 3 for p in listing.pictures)
    assert listing.passed_over == {}


def test_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = edgetl("sim-data", "--out", tmp_path, "--train", 1, "--test", 1)
    assert done.returncode == 2
    assert done.stderr.startswith("edgetl: E_USAGE: ")
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("out", ["/proc/data", "/dev/null/data"])
def test_place_that_cannot_be_written_is_one_line(out: str) -> None:
    done = edgetl("sim-data", "--out", out, "--train", 1, "--test", 1)
    assert done.returncode == 1
    assert "edgetl: E_STORAGE: " in done.stderr and "Traceback" not in done.stderr


def test_full_disk_is_one_line(full_disk: Path) -> None:
    done = edgetl("sim-data", "--out", full_disk / "data", "--train", 2, "--test", 1)
    assert done.returncode == 1
    assert "E_STORAGE" in done.stderr and "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_pictures_is_wrong_usage(tmp_path: Path) -> None:
    done = edgetl("sim-data", "--out", tmp_path / "data", "--train", 0)
    assert done.returncode == 2
