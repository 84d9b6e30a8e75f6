"""A folder of pictures as a source: one bad picture is one fault, and the rest go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgetl.errors import SourceError
from edgetl.runtime.sources import Frame
from edgetl.runtime.sources.folder import PictureFolder
from tests.runtime import pictures as pic


def read_all(source: PictureFolder) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def test_pictures_come_by_name_from_all_depths(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a/B.PNG", "c.jpeg"):
        pic.save(tmp_path / name, pic.quarters())
    (tmp_path / "notes.txt").write_text("x")
    frames = read_all(PictureFolder(tmp_path))
    assert [frame.name for frame in frames] == ["a/B.PNG", "a/z.png", "b.png", "c.jpeg"]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert all(frame.fault is None and frame.image is not None for frame in frames)


def test_single_picture_is_a_source_of_one(tmp_path: Path) -> None:
    path = pic.save(tmp_path / "only.png", pic.quarters())
    pic.save(tmp_path / "other.png", pic.quarters())
    assert [frame.name for frame in read_all(PictureFolder(path))] == ["only.png"]


@pytest.mark.fault("I3")
def test_bad_entries_are_faults_with_a_reason_and_no_picture(tmp_path: Path) -> None:
    pic.save(tmp_path / "a.png", pic.quarters())
    (tmp_path / "b.jpg").write_bytes(pic.jpeg(pic.noise())[:900])
    (tmp_path / "c.png").touch()
    os.mkfifo(tmp_path / "d.png")
    (tmp_path / "e.png").mkdir()
    (tmp_path / "f.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "g\nh.png").write_bytes(b"text")
    (tmp_path / "i.png").symlink_to("/dev/zero")
    pic.save(tmp_path / "z.png", pic.quarters())
    frames = {frame.name: frame for frame in read_all(PictureFolder(tmp_path))}
    assert [frames[name].fault for name in ("a.png", "z.png")] == [None, None]
    assert frames["a.png"].image is not None and frames["z.png"].image is not None
    bad = {name: frame for name, frame in frames.items() if name not in ("a.png", "z.png")}
    assert set(bad) >= {"b.jpg", "c.png", "d.png", "f.png", "g\nh.png", "i.png"}
    for frame in bad.values():
        assert frame.image is None
        assert frame.fault and "\n" not in frame.fault


def test_picture_that_vanishes_meanwhile_is_a_fault(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        pic.save(tmp_path / name, pic.quarters())
    source = PictureFolder(tmp_path)
    (tmp_path / "a.png").unlink()
    first, second = read_all(source)
    assert first.image is None and first.fault is not None and "No such file" in first.fault
    assert second.image is not None


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match="holds no pictures"):
        PictureFolder(tmp_path)
