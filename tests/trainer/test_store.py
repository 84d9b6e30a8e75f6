"""Every picture is decoded once, through the one preprocessing, and a bad one stops nothing."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import StorageError
from edgetl.runtime.dataset import Picture, list_pictures
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer import store
from edgetl.trainer.scratch import scratch_array
from tests.runtime.pictures import jpeg, noise, save


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    "how",
    [
        Preprocessing(size=48),
        Preprocessing(size=32, resize="fit-longest", region=(0.1, 0.2, 0.9, 1.0)),
        Preprocessing(size=40, colour="grey"),
    ],
)
def test_array_holds_what_the_preprocessing_makes_of_each_file(tmp_path: Path, how: Preprocessing) -> None:
    for i in range(70):  # more than are decoded ahead
        save(tmp_path / "ab"[i % 2] / f"{i}.{('png', 'jpg')[i % 3 == 0]}", noise(50 + i, 40, i))
    listing = list_pictures(tmp_path)
    assert isinstance(scratch_array((3, 2)), np.memmap)  # memory does not grow with the pictures
    told: list[tuple[int, int]] = []
    stored = store.load(tmp_path, listing.pictures, how, lambda *progress: told.append(progress))
    assert [(s.path, s.label, s.fixed) for s in stored.samples] == [
        (p.path, p.label, p.split) for p in listing.pictures
    ]
    assert stored.passed_over == {}
    assert stored.images.shape == (70, how.size, how.size, 3)
    for sample, image in zip(stored.samples, stored.images, strict=True):
        file = tmp_path / sample.path
        assert sample.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert np.array_equal(image, preprocess(read_picture(file), how))
    assert told[-1] == (70, 70)


def test_unreadable_pictures_are_passed_over_with_their_reason(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / f"a/{i}.png", noise(seed=i))
    (tmp_path / "a/1.png").write_bytes(b"no picture at all")
    (tmp_path / "a/2.png").unlink()
    (tmp_path / "a/cut.jpg").write_bytes(jpeg(noise())[:2000])
    names = ["a/0.png", "a/1.png", "a/2.png", "a/3.png", "a/4.png", "a/cut.jpg"]
    stored = store.load(tmp_path, [Picture(name, "a", None) for name in names], Preprocessing(size=32))
    assert [s.path for s in stored.samples] == ["a/0.png", "a/3.png", "a/4.png"]
    assert len(stored.images) == len(stored.fingerprints) == 3
    for sample, image in zip(stored.samples, stored.images, strict=True):
        assert np.array_equal(image, preprocess(read_picture(tmp_path / sample.path), Preprocessing(size=32)))
    assert set(stored.passed_over) == {"a/1.png", "a/2.png", "a/cut.jpg"}
    assert "cut short" in stored.passed_over["a/cut.jpg"]
    assert "No such file" in stored.passed_over["a/2.png"]


def test_nothing_readable_gives_an_empty_array(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no")
    stored = store.load(tmp_path, [Picture("a.png", "a", None)], Preprocessing(size=32))
    assert (stored.samples, stored.images.shape) == ([], (0, 32, 32, 3))
    assert store.load(tmp_path, [], Preprocessing(size=32)).images.shape == (0, 32, 32, 3)


def test_scratch_file_has_no_name_so_nothing_can_be_left_behind(tmp_path: Path, temporary: Path) -> None:
    save(tmp_path / "a.png", noise())
    stored = store.load(tmp_path, [Picture("a.png", "a", None)], Preprocessing(size=32))
    assert list(temporary.iterdir()) == []
    assert stored.images[0].any()  # and yet it can be read


def test_full_disk_is_met_before_anything_is_decoded(
    tmp_path: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(full_disk))
    pictures = [Picture(f"{i}.png", "a", None) for i in range(100)]
    with pytest.raises(StorageError, match="the disk is full"):
        store.load(tmp_path, pictures, Preprocessing(size=64))


def test_fingerprints_of_copies_are_near_and_of_others_are_not() -> None:
    blobs = noise(64, 64, 1) // 2 + 60
    one, brighter, other = (store.fingerprint(i).astype(int) for i in (blobs, blobs + 1, noise(64, 64, 2)))
    assert np.abs(one - brighter).mean() <= 1.0
    assert np.abs(one - other).mean() > 5.0
