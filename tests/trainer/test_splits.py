"""A data set is divided so that nothing seen in training comes back in a test, and the same way each time."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.errors import DatasetError
from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import store
from edgetl.trainer.oneclass.data import divide_good
from edgetl.trainer.splits import (
    Sample,
    _linked,
    calibrating,
    carry_over,
    divide,
    near_duplicate_groups,
    require_train_and_val,
)
from tests.runtime.pictures import noise, save

Prints = NDArray[np.uint8]


def samples_of(counts: dict[str, int], fixed: str | None = None) -> list[Sample]:
    """Samples of different bytes."""
    below = f"{fixed}/" if fixed else ""
    return [
        Sample(f"{below}{label}/{i}.png", label, f"{below}{label} {i}", fixed)
        for label, count in counts.items()
        for i in range(count)
    ]


def unlike(count: int) -> Prints:
    """Thumbnails of which no two are alike."""
    return np.random.default_rng(0).integers(0, 256, (count, 256), np.uint8)


def divided(samples: list[Sample], prints: Prints | None = None, seed: int = 0) -> list[str]:
    prints = unlike(len(samples)) if prints is None else prints
    return divide(samples, near_duplicate_groups(samples, prints), seed)


def test_every_class_gets_the_same_shares_whatever_its_size() -> None:
    samples = samples_of({"a": 100, "b": 200, "c": 40})
    counts = Counter(zip((s.label for s in samples), divided(samples), strict=True))
    for label, total in (("a", 100), ("b", 200), ("c", 40)):
        shares = {split: counts[label, split] / total for split in ("train", "val", "test")}
        assert shares == pytest.approx({"train": 0.73, "val": 0.12, "test": 0.15}, abs=0.02)


def test_same_seed_same_split_and_another_seed_another() -> None:
    samples = samples_of({"a": 60, "b": 60})
    assert divided(samples, seed=3) == divided(samples, seed=3)
    assert divided(samples, seed=3) != divided(samples, seed=4)


def test_smallest_class_that_can_be_divided_is_in_every_split() -> None:
    samples = samples_of({"a": 3, "b": 50})
    splits = divided(samples)
    assert sorted(s for s, x in zip(splits, samples, strict=True) if x.label == "a") == ["test", "train", "val"]


def smooth(seed: int) -> NDArray[np.uint8]:
    """A picture of large blobs, which JPEG hardly changes."""
    small = noise(5, 4, seed)
    return np.asarray(cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_copies_of_real_files_stay_together(tmp_path: Path) -> None:
    """Each picture lies there as PNG, as a byte-for-byte copy, as JPEG of two qualities, and a little brighter."""
    for label, base in (("a", 0), ("b", 1000)):
        for i in range(30):
            picture = smooth(base + i)
            first = save(tmp_path / label / f"{i}-png.png", picture)
            shutil.copy(first, tmp_path / label / f"{i}-copy.png")
            save(tmp_path / label / f"{i}-jpeg.jpg", picture)
            good, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
            assert good
            (tmp_path / label / f"{i}-small.jpg").write_bytes(data.tobytes())
            save(tmp_path / label / f"{i}-bright.png", cv2.add(picture, 1))
    stored = store.load(tmp_path, list_pictures(tmp_path).pictures, Preprocessing(size=64))
    assert len(stored.samples) == 300
    for seed in range(5):
        where: dict[str, set[str]] = {}
        splits = divided(stored.samples, stored.fingerprints, seed)
        for sample, split in zip(stored.samples, splits, strict=True):
            where.setdefault(sample.path.partition("-")[0], set()).add(split)
        assert len(where) == 60
        assert all(len(found) == 1 for found in where.values()), where
        assert set.union(*where.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("folders", "drawn"),
    [
        (("train", "test"), {"val"}),
        (("train", "val", "test", "calibration"), set()),
        (("train", "calibration"), {"val"}),
        (("train",), {"val"}),
    ],
)
def test_folders_are_respected_and_what_they_lack_comes_from_train(folders: tuple[str, ...], drawn: set[str]) -> None:
    samples = [s for folder in folders for s in samples_of({"a": 50, "b": 50}, folder)]
    splits = divided(samples)
    for sample, split in zip(samples, splits, strict=True):
        if sample.fixed != "train":
            assert split == sample.fixed
    from_train = {split for sample, split in zip(samples, splits, strict=True) if sample.fixed == "train"}
    assert from_train == {"train", *drawn}


@pytest.mark.parametrize(("count", "named"), [(1, "1 pictures (1 distinct)"), (2, "2 pictures (2 distinct)")])
def test_too_small_class_is_named_with_its_counts(count: int, named: str) -> None:
    with pytest.raises(DatasetError) as caught:
        divided(samples_of({"screw": 40, "hole": count}))
    assert "'hole'" in str(caught.value)
    assert named in str(caught.value)
    assert "at least 3" in str(caught.value)


def test_class_of_copies_of_one_picture_is_too_small() -> None:
    copies = [Sample(f"hole/{i}.png", "hole", "the same", None) for i in range(40)]
    with pytest.raises(DatasetError, match=r"40 pictures \(1 distinct\)"):
        divided([*samples_of({"screw": 40}), *copies])


def test_pictures_of_one_fixture_that_all_look_alike_are_divided_all_the_same() -> None:
    """A camera over one place: neighbours differ by less than the limit, so all of them hang together in a chain."""
    samples = samples_of({"a": 80, "b": 80})
    greys = np.random.default_rng(0).permutation(np.arange(100, 180, dtype=np.uint8))
    prints = np.repeat(greys[:, None], 256, axis=1)
    splits = divided(samples, np.concatenate([prints, prints]))
    for label in ("a", "b"):
        counts = Counter(split for s, split in zip(samples, splits, strict=True) if s.label == label)
        assert counts == {"train": 80 - 10 - 12, "val": 10, "test": 12}


def test_many_copies_of_one_picture_stay_together_and_leave_something_for_every_split() -> None:
    copies = [Sample(f"a/copy{i}.png", "a", "the same", None) for i in range(30)]
    samples = [*copies, *samples_of({"a": 20, "b": 50})]
    prints = unlike(len(samples))
    prints[:30] = prints[0]
    for seed in range(20):
        splits = divided(samples, prints, seed)
        assert len(set(splits[:30])) == 1
        assert {split for s, split in zip(samples, splits, strict=True) if s.label == "a"} == {"train", "val", "test"}


def carried(samples: list[Sample], known: dict[str, str], prints: Prints | None = None) -> list[str]:
    prints = unlike(len(samples)) if prints is None else prints
    return carry_over(samples, near_duplicate_groups(samples, prints), known, 0)


def test_what_was_divided_before_stays_where_it_was() -> None:
    old = samples_of({"a": 40, "b": 40})
    known = dict(zip((s.sha256 for s in old), divided(old), strict=True))
    new = [Sample(f"{s.label}/new{i}.png", s.label, f"new {i}", None) for i, s in enumerate(old)]
    splits = carried([*new, *old], known)
    assert splits[80:] == [known[s.sha256] for s in old]
    fresh = Counter(splits[:80])
    assert {k: fresh[k] / 80 for k in fresh} == pytest.approx({"train": 0.73, "val": 0.12, "test": 0.15}, abs=0.04)


def test_a_near_duplicate_of_a_trained_picture_never_tests() -> None:
    samples = samples_of({"a": 60})
    prints = np.repeat(unlike(30), 2, axis=0)  # each picture and its near-duplicate
    known = {s.sha256: "train" for s in samples[::2]}
    assert set(carried(samples, known, prints)) == {"train"}


def test_new_pictures_in_split_folders_go_where_their_folder_says() -> None:
    old, new = samples_of({"a": 20}, "train"), samples_of({"b": 10}, "test")
    known = {s.sha256: "calibration" for s in old[:5]} | {s.sha256: "train" for s in old[5:]}
    splits = carried([*old, *new], known)
    assert splits == ["calibration"] * 5 + ["train"] * 15 + ["test"] * 10


def test_new_class_has_pictures_to_learn_from_and_to_be_judged_by() -> None:
    old, new = samples_of({"a": 20}), [Sample(f"b/{i}.png", "b", f"new {i}", None) for i in range(2)]
    known = dict(zip((s.sha256 for s in old), divided(old), strict=True))
    splits = carried([*old, *new], known)
    assert sorted(splits[20:]) == ["train", "val"]
    require_train_and_val([*old, *new], splits)


def test_class_that_the_earlier_run_only_trained_on_is_refused_where_nothing_new_judges_it() -> None:
    samples = samples_of({"a": 20, "b": 20})
    splits = carried(samples, {s.sha256: "train" if s.label == "a" else "val" for s in samples})
    with pytest.raises(DatasetError, match="class 'a' has no picture in val"):
        require_train_and_val(samples, splits)


def test_bad_part_that_trained_an_earlier_run_is_not_learned_from_as_good() -> None:
    samples = samples_of({"good": 30, "bad": 10})
    known = {s.sha256: split for s, split in zip(samples, divided(samples), strict=True)}
    groups = near_duplicate_groups(samples, unlike(len(samples)))
    splits = divide_good("data", samples, groups, "good", known, 0)
    for sample, split in zip(samples, splits, strict=True):
        before = known[sample.sha256]
        assert split == (before if sample.label == "good" or before == "test" else "val")


def test_class_that_lies_outside_of_train_alone_is_named() -> None:
    with pytest.raises(DatasetError, match=r"class b has pictures in test alone; .* folder train"):
        divided([*samples_of({"a": 20}, "train"), *samples_of({"b": 20}, "test")])


def marked(samples: list[Sample], splits: list[str], groups: list[int] | None = None) -> Counter[tuple[str, str]]:
    """How many pictures of each class and split calibrate."""
    marks = calibrating(samples, groups or list(range(len(samples))), splits, 0)
    return Counter((s.label, split) for s, split, mark in zip(samples, splits, marks, strict=True) if mark)


def test_a_share_of_every_class_of_train_calibrates() -> None:
    samples = samples_of({"a": 400, "b": 200, "c": 100})
    splits = divided(samples)
    # A ninth, but of 32 in all each class's part, rounded up.
    assert marked(samples, splits) == {("a", "train"): 32, ("b", "train"): 16, ("c", "train"): 11}


def test_a_few_pictures_calibrate_all_and_very_many_no_more_than_settle_the_ranges() -> None:
    few, many = samples_of({"a": 6, "b": 30}), samples_of({"a": 3000, "b": 3000})
    assert marked(few, ["train"] * len(few)) == {("a", "train"): 6, ("b", "train"): 16}
    assert marked(many, ["train"] * len(many)) == {("a", "train"): 200, ("b", "train"): 200}


def test_of_near_duplicates_one_calibrates_before_a_second_does() -> None:
    samples = samples_of({"a": 60})
    groups = [min(i, 40) for i in range(60)]  # 20 are alike
    marks = calibrating(samples, groups, ["train"] * 60, 0)
    assert sum(marks) == 32 and sum(marks[40:]) <= 1


def test_pictures_of_a_calibration_folder_calibrate_and_none_of_train_beside_them() -> None:
    samples = [*samples_of({"a": 50, "b": 50}, "train"), *samples_of({"a": 5}, "calibration")]
    assert marked(samples, divided(samples)) == {("b", "train"): 32}


def test_same_seed_marks_the_same_pictures() -> None:
    samples, splits = samples_of({"a": 500}), ["train"] * 500
    first, again, other = (calibrating(samples, list(range(500)), splits, seed) for seed in (0, 0, 1))
    assert first == again != other and sum(first) == sum(other) == 55


@pytest.mark.parametrize("distance", [0.0, 0.5, 2.0])
def test_near_thumbnails_are_those_that_comparing_all_pairs_finds(distance: float) -> None:
    random = np.random.default_rng(0)
    starts = random.integers(0, 250, (12, 256), np.uint8)
    prints = np.concatenate([starts + random.integers(0, step, (12, 256), np.uint8) for step in (1, 2, 4, 6, 5, 3)])
    samples = [Sample(f"{i}.png", "a", str(i), None) for i in range(len(prints))]
    apart = np.abs(prints[:, None].astype(np.float32) - prints[None]).mean(axis=2)
    expected = [{i} for i in range(len(prints))]
    for i, j in np.argwhere(apart < distance):
        joined = expected[i] | expected[j]
        for member in joined:
            expected[member] = joined
    found = _linked(list(range(len(prints))), samples, prints, distance)
    assert {frozenset(group) for group in found} == {frozenset(group) for group in expected}
    assert distance == 0.0 or 1 < len(found) < len(prints)
