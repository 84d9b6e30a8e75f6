"""The calibration set: real pictures through the one preprocessing, one at a time, behind two that fix the range."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import GeneratorType

import numpy as np
import pytest

from edgetl.errors import ExportError, StorageError
from edgetl.exporter.calibration import calibrating, images_of, pictures_of, save, stream
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.run_folder import read_run


def test_first_two_pictures_span_the_range_and_the_rest_are_the_files(
    small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    run = read_run(small_run)
    how = run.record.preprocessing
    records = calibrating(run, small_data)
    assert len(records) == sum(s.calibrates for s in run.splits) > 0
    save(images_of(records, small_data, how), tmp_path / "calibration.npy")
    found = list(stream(tmp_path / "calibration.npy"))
    assert len(found) == len(records) + 2
    assert all(image.shape == (1, how.size, how.size, 3) and image.dtype == np.float32 for image in found)
    assert (found[0] == 0).all() and (found[1] == 255).all()
    for record, image in zip(records, found[2:], strict=True):
        assert np.array_equal(image[0], preprocess(read_picture(small_data / record.path), how))


def test_pictures_are_read_one_at_a_time(tmp_path: Path) -> None:
    """200 pictures of 128 px are 39 MB as float; one is 0.2 MB."""
    np.save(tmp_path / "c.npy", np.ones((200, 128, 128, 3), np.uint8))
    pictures = stream(tmp_path / "c.npy")
    assert isinstance(pictures, GeneratorType)
    tracemalloc.start()
    assert sum(1 for _ in pictures) == 202
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_run_without_calibration_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no pictures that calibrate"):
        save(images_of([], tmp_path, Preprocessing(size=32)), tmp_path / "c.npy")
    assert not (tmp_path / "c.npy").exists()


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        save(np.zeros((1, 32, 32, 3), np.uint8), tmp_path / "none" / "c.npy")


def test_data_folder_that_is_gone_is_named(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"gone: .* name their folder with --data"):
        pictures_of(read_run(small_run), "val", tmp_path / "gone")
