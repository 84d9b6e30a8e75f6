"""Class folders as people really have them: what is used, what is passed over and why, what is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
import unicodedata
from pathlib import Path

import pytest

from edgetl.errors import DatasetError
from edgetl.runtime.dataset import hashes_of, list_pictures, sha256_of
from tests.runtime import pictures as pic


def picture(path: Path, seed: int = 0) -> Path:
    return pic.save(path, pic.noise(8, 8, seed))


def test_split_folders_are_listed_in_a_fixed_order(tmp_path: Path) -> None:
    for split in ("test", "train"):
        for label in ("scratch", "ok"):
            for name in ("b.png", "a.png"):
                picture(tmp_path / split / label / name)
    listing = list_pictures(tmp_path)
    assert listing.labels == ("ok", "scratch")
    assert [p.path for p in listing.of_split("train")] == [
        "train/ok/a.png", "train/ok/b.png", "train/scratch/a.png", "train/scratch/b.png"
    ]  # fmt: skip
    assert len(listing.of_split("test")) == 4
    assert listing.of_split("val") == ()
    assert listing.passed_over == {}


def test_plain_class_folders_have_no_split(tmp_path: Path) -> None:
    picture(tmp_path / "ok" / "a.png")
    picture(tmp_path / "bad" / "monday" / "deep.png")
    listing = list_pictures(tmp_path)
    assert {(p.path, p.label, p.split) for p in listing.pictures} == {
        ("ok/a.png", "ok", None),
        ("bad/monday/deep.png", "bad", None),
    }


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    picture(tmp_path / "ok" / "a.png")
    picture(tmp_path / "ok" / ".thumbnails" / "a.png")
    picture(tmp_path / ".cache" / "a.png")
    (tmp_path / "ok" / ".DS_Store").write_bytes(b"x")
    listing = list_pictures(tmp_path)
    assert [p.path for p in listing.pictures] == ["ok/a.png"]
    assert listing.passed_over == {}


@pytest.mark.fault("I3")
def test_odd_entries_are_passed_over_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "ok"
    picture(folder / "good.png")
    picture(folder / "two\nlines.png")
    picture(folder / "Prüfling 7.png")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "dead.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "empty.bmp").touch()
    (folder / "notes.txt").write_text("about")
    (folder / "folder.jpg").mkdir()
    listing = list_pictures(tmp_path)
    assert {p.path for p in listing.pictures} == {"ok/good.png", "ok/two\nlines.png", "ok/Prüfling 7.png"}
    assert set(listing.passed_over) == {"ok/pipe.jpg", "ok/dead.jpg", "ok/zero.png", "ok/empty.bmp", "ok/notes.txt"}
    assert "empty" in listing.passed_over["ok/empty.bmp"]
    for name in ("pipe.jpg", "dead.jpg", "zero.png"):
        assert listing.passed_over[f"ok/{name}"] == "not a regular file"
    assert hashes_of(listing).keys() == {p.path for p in listing.pictures}


LIST_CHILD = """
import os, sys
from pathlib import Path
from edgetl.runtime.dataset import list_pictures
if os.getuid() == 0:
    os.setuid(65534)
listing = list_pictures(Path(sys.argv[1]))
print([p.path for p in listing.pictures], listing.passed_over)
"""


@pytest.mark.fault("I3")
def test_unreadable_file_is_passed_over() -> None:
    """In a child without root's rights, since root may read everything."""
    root = Path(tempfile.mkdtemp())
    try:
        picture(root / "ok" / "good.png")
        picture(root / "ok" / "locked.png").chmod(0)
        for folder in (root, root / "ok"):
            folder.chmod(0o755)
        command = [sys.executable, "-c", LIST_CHILD, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    finally:
        shutil.rmtree(root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['ok/good.png'] {'ok/locked.png': 'no permission to read it'}\n"


def test_dead_links_alone_are_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "a.jpg").symlink_to("/nowhere")
    with pytest.raises(DatasetError):
        list_pictures(tmp_path)


@pytest.mark.parametrize("missing", ["nowhere", "a_file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, missing: str) -> None:
    (tmp_path / "a_file").touch()
    with pytest.raises(DatasetError, match=missing):
        list_pictures(tmp_path / missing)


def test_empty_folder_is_refused_with_the_layout_that_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no pictures found; expected .*<class>"):
        list_pictures(tmp_path)


def test_pictures_without_class_folders_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="no pictures found"):
        list_pictures(tmp_path)


@pytest.mark.parametrize(
    ("folder", "meant"), [("valid", "val"), ("Validation", "val"), ("Test", "test"), ("TRAINING", "train")]
)
def test_split_under_another_name_is_refused_with_the_right_one(folder: str, meant: str, tmp_path: Path) -> None:
    """It would not be looked at beside `train`, and be taken for a class without it."""
    for beside in ("train", "Training2"):
        root = tmp_path / beside
        picture(root / beside / "ok" / "a.png")
        picture(root / folder / "ok" / "b.png")
        with pytest.raises(DatasetError, match=rf"{folder}: .*call it {meant}$"):
            list_pictures(root)


def test_classes_may_be_called_valid_and_training(tmp_path: Path) -> None:
    picture(tmp_path / "valid" / "a.png")
    picture(tmp_path / "invalid" / "b.png")
    picture(tmp_path / "training" / "monday" / "c.png")
    picture(tmp_path / "training" / "d.png")
    assert list_pictures(tmp_path).labels == ("invalid", "training", "valid")


def test_folder_above_the_data_set_is_refused_with_the_way_on(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / "crops" / split / "ok" / "a.png")
    picture(tmp_path / "raw" / "b.png")
    with pytest.raises(DatasetError, match=r"crops: divided into splits itself; name this folder"):
        list_pictures(tmp_path)
    assert list_pictures(tmp_path / "crops").labels == ("ok",)


def test_classes_outside_and_splits_inside_are_refused_with_the_right_order(tmp_path: Path) -> None:
    for label in ("ng", "ok"):
        picture(tmp_path / label / "train" / "a.png")
    with pytest.raises(DatasetError, match=rf"{tmp_path}/train/ng/"):
        list_pictures(tmp_path)


@pytest.mark.fault("I4")
def test_classes_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "Scratch" / "a.png")
    picture(tmp_path / "scratch" / "a.png")
    with pytest.raises(DatasetError, match="'Scratch' and 'scratch' differ only in case"):
        list_pictures(tmp_path)


def test_case_counts_across_splits_too(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "OK" / "a.png")
    picture(tmp_path / "test" / "ok" / "a.png")
    with pytest.raises(DatasetError, match="only in case"):
        list_pictures(tmp_path)


@pytest.mark.fault("I4")
def test_class_without_pictures_is_refused_by_name(tmp_path: Path) -> None:
    picture(tmp_path / "ok" / "a.png")
    (tmp_path / "chip").mkdir()
    (tmp_path / "stain").mkdir()
    (tmp_path / "stain" / "empty.png").touch()
    with pytest.raises(DatasetError, match="class chip, stain has no usable picture"):
        list_pictures(tmp_path)


def test_class_in_only_one_split_is_no_empty_class(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "ok" / "a.png")
    picture(tmp_path / "train" / "rare" / "a.png")
    picture(tmp_path / "test" / "ok" / "a.png")
    (tmp_path / "test" / "rare").mkdir()
    assert list_pictures(tmp_path).labels == ("ok", "rare")


@pytest.mark.fault("I4")
def test_label_is_the_same_however_its_accents_were_typed(tmp_path: Path) -> None:
    """macOS writes é as two code points, Linux as one."""
    for form, split in (("NFC", "train"), ("NFD", "test")):
        picture(tmp_path / split / unicodedata.normalize(form, "rayé") / "a.png")  # type: ignore[arg-type]
    listing = list_pictures(tmp_path)
    assert listing.labels == (unicodedata.normalize("NFC", "rayé"),)
    assert len(hashes_of(listing)) == 2


def test_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    path = picture(tmp_path / "ok" / "a.png")
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_that_vanishes_is_left_out_of_the_hashes(tmp_path: Path) -> None:
    picture(tmp_path / "ok" / "a.png")
    gone = picture(tmp_path / "ok" / "b.png", seed=1)
    listing = list_pictures(tmp_path)
    gone.unlink()
    assert set(hashes_of(listing)) == {"ok/a.png"}


def test_linked_class_folder_is_followed_and_a_loop_is_not(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "a.png")
    data = tmp_path / "data"
    (data / "bad").mkdir(parents=True)
    picture(data / "bad" / "b.png", seed=1)
    (data / "ok").symlink_to(tmp_path / "elsewhere")
    (data / "bad" / "loop").symlink_to(data / "bad")
    assert {p.path for p in list_pictures(data).pictures} == {"ok/a.png", "bad/b.png"}


@pytest.mark.fault("I4")
@pytest.mark.parametrize(
    "label", ["two words", "Prüfling", "-rf", "a,b", "'; drop", "\N{CJK UNIFIED IDEOGRAPH-826F}", "x" * 200]
)
def test_odd_labels_stay_what_they_are(tmp_path: Path, label: str) -> None:
    picture(tmp_path / label / "a.png")
    picture(tmp_path / "ok" / "a.png", seed=1)
    listing = list_pictures(tmp_path)
    assert set(listing.labels) == {label, "ok"}
    assert {(p.path, p.label) for p in listing.pictures} == {(f"{label}/a.png", label), ("ok/a.png", "ok")}


@pytest.mark.fault("I4")
def test_many_thousand_files_are_listed_in_memory_in_proportion(tmp_path: Path) -> None:
    """A million is the same a hundred times over; links to one file stand for the pictures."""
    one, peaks = picture(tmp_path / "one.png"), []
    for count in (500, 5_000):
        folder = tmp_path / str(count)
        for number in range(count):
            target = folder / ("ok", "bad")[number % 2] / str(number % 50)
            target.mkdir(parents=True, exist_ok=True)
            (target / f"{number}.png").hardlink_to(one)
        tracemalloc.start()
        listing = list_pictures(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len({p.path for p in listing.pictures}) == count and listing.passed_over == {}
    assert peaks[1] < 15 * peaks[0] and peaks[1] < 5_000 * 1_000


def test_calibration_is_a_split_beside_others_and_a_class_by_itself(tmp_path: Path) -> None:
    for path in ("a/train/ok/1.png", "a/calibration/ok/2.png", "b/ok/1.png", "b/calibration/2.png"):
        picture(tmp_path / path)
    assert [p.path for p in list_pictures(tmp_path / "a").of_split("calibration")] == ["calibration/ok/2.png"]
    assert list_pictures(tmp_path / "b").labels == ("calibration", "ok")


def test_folder_beside_splits_that_is_none_is_named(tmp_path: Path) -> None:
    for path in ("train/ok/1.png", "loose/2.png"):
        picture(tmp_path / path)
    (tmp_path / "notes").mkdir()
    listing = list_pictures(tmp_path)
    assert listing.passed_over == {"loose": "beside train, and none of train, val, test, calibration"}


def test_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "ok" / "1.png")
    (tmp_path / "ok" / "1.png").rename(os.fsdecode(os.fsencode(tmp_path / "ok") + b"/stra\xdfe.png"))
    picture(tmp_path / "ok" / "2.png")
    listing = list_pictures(tmp_path)
    assert [p.path for p in listing.pictures] == ["ok/2.png"]
    assert listing.passed_over == {"ok/stra\ufffde.png": "its name is not UTF-8; rename it"}
    (tmp_path / os.fsdecode(b"gla\xdf")).mkdir()
    with pytest.raises(DatasetError, match="gla\ufffd: its name is not UTF-8"):
        list_pictures(tmp_path)
