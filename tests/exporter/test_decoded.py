"""A picture is decoded once, whoever asks for it and when; what does not fit is decoded again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgetl.errors import PictureError
from edgetl.exporter import decoded
from edgetl.exporter.decoded import Decoded
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess

HOW = Preprocessing(size=32)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.png" for n in range(6)]
    for path in paths:
        cv2.imwrite(str(path), random.integers(0, 256, (40, 50, 3), np.uint8))
    return paths


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, in order."""
    seen: list[Path] = []
    lock = threading.Lock()

    def reading(path: Path) -> object:
        with lock:
            seen.append(path)
        return read_picture(path)

    monkeypatch.setattr(decoded, "read_picture", reading)
    return seen


def test_threads_that_ask_at_once_get_the_input_of_one_reading(pictures: list[Path], read: list[Path]) -> None:
    inputs = Decoded(HOW)
    with ThreadPoolExecutor(4) as pool:
        found = [list(pool.map(inputs, pictures)) for _ in range(4)]
        again = list(pool.map(inputs, pictures * 4))
    assert sorted(read) == sorted(pictures)
    for path, *images in zip(pictures, *found, again, strict=False):
        for image in images:
            np.testing.assert_array_equal(image, preprocess(read_picture(path), HOW))


def test_what_does_not_fit_is_read_again(pictures: list[Path], read: list[Path]) -> None:
    inputs = Decoded(HOW, most_bytes=2 * 3 * 32 * 32)
    first, second = ([inputs(path) for path in pictures] for _ in range(2))
    assert len(read) == 6 + 4
    np.testing.assert_array_equal(first, second)


def test_unreadable_picture_is_so_for_everybody(tmp_path: Path, read: list[Path]) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no picture")
    inputs = Decoded(HOW)
    for _ in range(2):
        with pytest.raises(PictureError, match=r"broken\.jpg"):
            inputs(path)
    assert read == [path]
