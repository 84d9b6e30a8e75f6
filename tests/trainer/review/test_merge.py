"""A new version of a data set holds the old one, the new pictures, and where they came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import msgspec
import pytest

from edgetl.errors import DatasetError, UsageError
from edgetl.runtime.dataset import list_pictures
from edgetl.trainer.review.labels import Labels
from edgetl.trainer.review.merge import LINEAGE, Lineage, merge
from tests.trainer.review.collected import fill, picture


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for label, seeds in (("good", range(3)), ("scratch", range(10, 13))):
        (tmp_path / "v1" / label).mkdir(parents=True)
        for seed in seeds:
            cv2.imwrite(str(tmp_path / "v1" / label / f"{seed}.png"), picture(seed))
    return tmp_path / "v1"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Four pictures: two labelled, one unusable, one open."""
    folder = tmp_path / "kept"
    records = fill(folder, [(20, "NG", 0.9), (21, "OK", 0.6), (22, "OK", 0.5), (23, "OK", 0.7)])
    labels = Labels(folder)
    labels.give(records[0].picture, "scratch")
    labels.give(records[1].picture, "dent")
    labels.give(records[2].picture, None, unusable=True)
    return folder


def test_labelled_pictures_join_and_nothing_else_changes(base: Path, kept: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in base.rglob("*.png")}
    version = merge(base, kept, tmp_path / "v2")
    listing = list_pictures(tmp_path / "v2")
    assert listing.labels == ("dent", "good", "scratch") and len(listing.pictures) == 8
    assert {p: p.read_bytes() for p in base.rglob("*.png")} == before
    lineage = msgspec.json.decode((tmp_path / "v2" / LINEAGE).read_bytes(), type=Lineage)
    assert lineage.versions == (version,) and version.base_pictures == 6
    for item in version.added:
        assert hashlib.sha256((tmp_path / "v2" / item.path).read_bytes()).hexdigest() == item.sha256
        assert item.origin.device == "press-3" and item.origin.bundle == "part" and item.labelled
    assert {(a.label, a.origin.label) for a in version.added} == {("scratch", "scratch"), ("dent", "good")}


def test_a_name_that_is_taken_costs_no_picture(base: Path, kept: Path, tmp_path: Path) -> None:
    """Retouched since it joined, and saved as editors do: the kept picture is new again, under the name that it had."""
    first = merge(base, kept, tmp_path / "v2")
    retouched = tmp_path / "v2" / first.added[0].path
    cv2.imwrite(str(tmp_path / "new.png"), picture(77))
    (tmp_path / "new.png").rename(retouched)
    before = {p: p.read_bytes() for p in (tmp_path / "v2").rglob("*.png")}
    version = merge(tmp_path / "v2", kept, tmp_path / "v3")
    assert {p: p.read_bytes() for p in before} == before
    (again,) = version.added
    assert len(list_pictures(tmp_path / "v3").pictures) == len(before) + 1
    assert hashlib.sha256((tmp_path / "v3" / again.path).read_bytes()).hexdigest() == again.sha256
    assert (tmp_path / "v3" / first.added[0].path).read_bytes() == before[retouched]


def test_versions_add_up_and_nothing_comes_twice(base: Path, kept: Path, tmp_path: Path) -> None:
    merge(base, kept, tmp_path / "v2")
    version = merge(tmp_path / "v2", kept, tmp_path / "v3")
    assert (len(version.added), version.left_out) == (0, 2)
    lineage = msgspec.json.decode((tmp_path / "v3" / LINEAGE).read_bytes(), type=Lineage)
    assert [len(v.added) for v in lineage.versions] == [2, 0] and lineage.versions[0].base != lineage.versions[1].base


def test_of_a_divided_set_all_splits_get_new_pictures(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for label in ("good", "scratch"):
            (tmp_path / "v1" / split / label).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "v1" / split / label / "0.png"), picture(len(split) + len(label)))
    folder = tmp_path / "kept"
    for record in fill(folder, [(100 + i, "OK", 0.5) for i in range(60)]):
        Labels(folder).give(record.picture, "good")
    version = merge(tmp_path / "v1", folder, tmp_path / "v2")
    shares = {s: sum(a.path.startswith(f"{s}/") for a in version.added) for s in ("train", "val", "test")}
    assert sum(shares.values()) == 60 and shares["train"] > 30 and shares["val"] > 0 and shares["test"] > 0


def test_a_version_is_never_written_over_and_half_ones_do_not_stay(base: Path, kept: Path, tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    with pytest.raises(UsageError, match="never changed"):
        merge(base, kept, tmp_path / "v2")
    assert list((tmp_path / "v2").iterdir()) == []
    (base / LINEAGE).write_text("{")
    with pytest.raises(DatasetError, match=LINEAGE):
        merge(base, kept, tmp_path / "v3")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept", "v1", "v2"]


def test_nothing_labelled_is_no_new_version(base: Path, tmp_path: Path) -> None:
    fill(tmp_path / "kept", [(1, "NG", 0.9)])
    with pytest.raises(DatasetError, match="nothing labelled yet"):
        merge(base, tmp_path / "kept", tmp_path / "v2")


def test_a_picture_that_changed_since_it_was_kept_is_left_out(base: Path, kept: Path, tmp_path: Path) -> None:
    labelled = [a.origin.picture for a in merge(base, kept, tmp_path / "v2").added]
    cv2.imwrite(str(kept / labelled[0]), picture(99))
    assert [a.origin.picture for a in merge(base, kept, tmp_path / "v3").added] == labelled[1:]
