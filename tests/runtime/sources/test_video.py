"""Videos: every frame in order, and a file that breaks off is an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import SourceError
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame, Source
from edgetl.runtime.sources.video import VideoFile
from tests.runtime import tiny, videos


def read_all(source: Source) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def colour(image: Image | None) -> str:
    assert image is not None
    return ("blue", "green", "red")[int(image.reshape(-1, 3).mean(axis=0).argmax())]


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_every_frame_of_a_file_comes_in_order(tmp_path: Path, suffix: str) -> None:
    source = VideoFile(videos.write(tmp_path / f"parts{suffix}"))
    frames = read_all(source)
    source.close()
    assert [frame.index for frame in frames] == list(range(40))
    assert [colour(frame.image) for frame in frames] == [tiny.LABELS[n % 3] for n in range(40)]
    assert [frame.time_s for frame in frames] == pytest.approx([n / 10 for n in range(40)])
    assert {(frame.name, frame.part, frame.fault) for frame in frames} == {(f"parts{suffix}", None, None)}


def test_frames_do_not_share_memory(tmp_path: Path) -> None:
    source = VideoFile(videos.write(tmp_path / "a.avi", frames=2))
    first, second = source.read(), source.read()
    assert first is not None and second is not None and first.image is not None and second.image is not None
    assert not np.shares_memory(first.image, second.image)


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_file_that_breaks_off_is_an_error_after_its_good_frames(tmp_path: Path, suffix: str, share: float) -> None:
    whole = videos.write(tmp_path / f"whole{suffix}").read_bytes()
    data = videos.index_first(whole) if suffix == ".mp4" else whole
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(share * len(data))])
    source = VideoFile(path)
    read = 0
    with pytest.raises(SourceError, match=r"ends early, after \d+ of 40 frames"):
        while source.read() is not None:
            read += 1
    assert 0 < read < 40


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 99, bytes(10_000)])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.mp4: "):
        VideoFile(path)


def test_failed_and_closed_sources_leave_no_descriptor_open(tmp_path: Path) -> None:
    path = videos.write(tmp_path / "a.avi", frames=3)
    (tmp_path / "b.avi").write_bytes(b"RIFF")
    VideoFile(path).close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        VideoFile(path).close()
        with pytest.raises(SourceError):
            VideoFile(tmp_path / "b.avi")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
