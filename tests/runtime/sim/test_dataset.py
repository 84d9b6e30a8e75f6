"""Writing a data set: layout, reproducibility and write failures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgetl.runtime.sim import LABELS, dataset, write_dataset

SMALL = {"width": 160, "height": 120}


def test_layout_without_splits(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def on_progress(done: int, total: int) -> None:
        calls.append((done, total))

    written = write_dataset(tmp_path, seed=1, pictures_per_class=2, on_progress=on_progress, **SMALL)
    assert written == 10
    assert calls == [(done, 10) for done in range(1, 11)]
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == sorted(f"{label}/{index:05d}.jpg" for label in LABELS for index in range(2))
    assert cv2.imread(str(tmp_path / "chip" / "00001.jpg")).shape == (120, 160, 3)


def test_splits_share_out_each_class(tmp_path: Path) -> None:
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    assert write_dataset(tmp_path, seed=1, pictures_per_class=6, splits=shares, **SMALL) == 30
    for split, count in (("train", 4), ("val", 1), ("test", 1)):
        for label in LABELS:
            assert len(list((tmp_path / split / label).glob("*.jpg"))) == count


def test_same_seed_writes_the_same_files_and_no_two_alike(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_dataset(tmp_path / name, seed=7, pictures_per_class=1, **SMALL)
    first = [path.read_bytes() for path in sorted((tmp_path / "a").rglob("*.jpg"))]
    second = [path.read_bytes() for path in sorted((tmp_path / "b").rglob("*.jpg"))]
    assert first == second
    assert len(set(first)) == len(LABELS)


def test_folder_under_a_file_raises_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        write_dataset(tmp_path / "file" / "set", seed=1, pictures_per_class=1, **SMALL)


def test_full_disk_leaves_no_half_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_a, **_k: FullDisk())
    with pytest.raises(OSError, match="No space left"):
        write_dataset(tmp_path, seed=1, pictures_per_class=1, **SMALL)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_refused_encoding_raises_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset.cv2, "imencode", lambda *_: (False, np.empty(0, np.uint8)))
    with pytest.raises(OSError, match="cannot encode"):
        write_dataset(tmp_path, seed=1, pictures_per_class=1, **SMALL)


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"train": 1.5, "val": -0.5}])
def test_shares_must_sum_to_one(tmp_path: Path, shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="splits: shares"):
        write_dataset(tmp_path, seed=1, pictures_per_class=1, splits=shares)


def test_at_least_one_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pictures_per_class: must be 1 or more"):
        write_dataset(tmp_path, seed=1, pictures_per_class=0)
