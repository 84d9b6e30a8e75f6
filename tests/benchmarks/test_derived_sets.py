"""Sets derived by rule: the pictures that are wanted, as they are wanted, the same for a seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgetl.benchmarks import derived_sets
from edgetl.benchmarks.derived_sets import DERIVED, DRAWN, SURFACES, Derived, changed, write_derived
from edgetl.benchmarks.drawn_surfaces import GOOD, LABELS, drawn_surface
from edgetl.benchmarks.real_pictures import SETS
from edgetl.runtime.sim import write_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    write_dataset(
        root / SETS["trashnet"], seed=0, pictures_per_class=30, width=80, height=64, splits={"train": 0.8, "test": 0.2}
    )
    return root


def names(data: Path, split: str) -> list[list[str]]:
    return [sorted(p.name for p in folder.iterdir()) for folder in sorted((data / split).iterdir())]


def test_the_seed_chooses_the_training_pictures_and_all_of_test_stay(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DERIVED, "few", Derived("trashnet", (20, 8, 3)))
    one, same, other = (
        write_derived("few", root, tmp_path / place, seed) for place, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert [len(found) for found in names(one, "train")] == [20, 8, 3, 3, 3]
    assert names(one, "train") == names(same, "train") != names(other, "train")
    assert names(one, "test") == names(other, "test") == names(root / SETS["trashnet"], "test")


def test_grey_and_small_pictures_are_that(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DERIVED, "grey", Derived("trashnet", (2,), grey=True, side=40))
    for split in ("train", "test"):
        pictures = [
            cv2.imread(str(p), cv2.IMREAD_UNCHANGED)
            for p in write_derived("grey", root, tmp_path / "out").glob(f"{split}/*/*")
        ]
        assert {picture.shape for picture in pictures} == {(32, 40)}
    coloured = np.zeros((60, 30, 3), np.uint8)
    coloured[..., 2] = 200
    assert changed(coloured, Derived("trashnet", (1,), side=120)).shape == (120, 60, 3)
    assert len({int(value) for value in changed(coloured, Derived("trashnet", (1,), grey=True)).ravel()}) == 1


def test_the_drawn_part_is_drawn_at_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DERIVED, "large", Derived(DRAWN, (4, 2), side=200))
    monkeypatch.setattr(derived_sets, "TEST_PER_CLASS", 2)
    data = write_derived("large", tmp_path, tmp_path / "out")
    assert [len(found) for found in names(data, "train")] == [4, 2, 2, 2, 2]
    assert [len(found) for found in names(data, "test")] == [2] * 5
    assert {cv2.imread(str(p)).shape for p in data.glob("*/*/*")} == {(150, 200, 3)}


def test_a_set_that_is_there_stays_as_it_is(root: Path, tmp_path: Path) -> None:
    data = write_derived("trashnet-lopsided", root, tmp_path / "out")
    next(data.glob("train/*/*")).unlink()
    before = names(data, "train")
    assert write_derived("trashnet-lopsided", root, data) == data
    assert names(data, "train") == before


def test_surfaces_are_grey_of_many_sizes_and_the_same_for_a_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DERIVED, "surfaces", Derived(SURFACES, (6, 2)))
    monkeypatch.setattr(derived_sets, "SURFACES_PER_CLASS", 1)
    one, same, other = (
        write_derived("surfaces", tmp_path, tmp_path / place, seed) for place, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert [folder.name for folder in sorted((one / "train").iterdir())] == list(LABELS)
    assert [len(found) for found in names(one, "train")] == [6, 2, 2, 2, 2, 2]
    pictures = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in sorted((one / "train").glob("*/*"))]
    assert len({picture.shape for picture in pictures}) == len(pictures)
    assert all(picture.ndim == 2 and min(picture.shape) >= 60 and max(picture.shape) < 600 for picture in pictures)
    first, again, another = ((place / "test" / "pits" / "0000.png").read_bytes() for place in (one, same, other))
    assert first == again != another


@pytest.mark.parametrize("label", LABELS[1:])
def test_a_defect_changes_a_small_part_of_a_surface(label: str) -> None:
    """What differs from the same surface without it: a seed draws the surface before the defect."""
    for seed in range(5):
        blank, marred = (drawn_surface(kind, np.random.default_rng(seed)).astype(int) for kind in (GOOD, label))
        assert blank.shape == marred.shape
        changed_much = np.abs(blank - marred) > 12
        assert 0 < changed_much.mean() < 0.25
