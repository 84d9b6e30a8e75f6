"""Videos and cameras: every frame in order, and a frame that does not come is an error in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import SourceError
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame, Source
from edgetl.runtime.sources.video import OPEN_TIMEOUT_MS, READ_TIMEOUT_MS, Camera, VideoFile
from tests.runtime import tiny, videos
from tests.runtime.servers import mjpeg_server, silent_server

MARGIN_S = 2.0  # for a busy machine


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


@pytest.mark.parametrize("address", [63, "/dev/video63", "/dev/null"])
def test_camera_that_is_not_there_is_refused_at_once(address: int | str) -> None:
    start = time.monotonic()
    with pytest.raises(SourceError, match="no such camera"):
        Camera(address)
    assert time.monotonic() - start < MARGIN_S


def test_refused_connection_is_refused_at_once() -> None:
    with silent_server() as port:
        pass
    with pytest.raises(SourceError, match="does not answer"):
        Camera(f"http://127.0.0.1:{port}/stream")


@pytest.mark.fault("C1")
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_peer_that_never_answers_is_given_up_in_time(scheme: str) -> None:
    with silent_server() as port:
        start = time.monotonic()
        with pytest.raises(SourceError, match="does not answer"):
            Camera(f"{scheme}://127.0.0.1:{port}/stream")
        assert time.monotonic() - start < OPEN_TIMEOUT_MS / 1000 + MARGIN_S


def some(count: int) -> Iterator[Image]:
    yield from (tiny.plain(tiny.LABELS[n % 3], 64, 48) for n in range(count))


def test_stream_that_hangs_up_is_an_error_after_its_frames() -> None:
    with mjpeg_server(lambda: some(12)) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        seen = []
        with pytest.raises(SourceError, match=r"no frame came .*; \d+ came before"):
            while (frame := camera.read()) is not None:
                seen.append(frame)
        camera.close()
    assert [colour(frame.image) for frame in seen] == [tiny.LABELS[n % 3] for n in range(len(seen))]
    assert len(seen) >= 10


def test_stream_that_falls_silent_is_an_error_in_time() -> None:
    with mjpeg_server(lambda: some(8), stall=True) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        last = time.monotonic()
        with pytest.raises(SourceError, match="no frame came"):
            while camera.read() is not None:
                last = time.monotonic()
        assert time.monotonic() - last < READ_TIMEOUT_MS / 1000 + MARGIN_S
        camera.close()


def test_camera_times_are_of_the_arrival() -> None:
    with mjpeg_server(lambda: some(20)) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        before = time.monotonic()
        frames = [camera.read() for _ in range(5)]
        after = time.monotonic()
        camera.close()
    times = [frame.arrived_s for frame in frames if frame is not None]
    assert sorted(times) == times
    assert before <= times[0] <= times[-1] <= after
    assert camera.live and not camera.triggered


@pytest.mark.fault("P5")
def test_password_is_in_no_name_and_no_message() -> None:
    with silent_server() as port:
        pass
    with pytest.raises(SourceError) as caught:
        Camera(f"http://anna:s3cret@127.0.0.1:{port}/stream")
    assert "s3cret" not in str(caught.value) and "anna" not in str(caught.value)
    with mjpeg_server(lambda: some(5)) as port:
        camera = Camera(f"http://anna:s3cret@127.0.0.1:{port}/stream")
        frame = camera.read()
        assert frame is not None
        assert frame.name == camera.name == f"http://…@127.0.0.1:{port}/stream"
        camera.close()


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
