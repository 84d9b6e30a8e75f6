"""A frame of any size costs no new memory of its size: not in the line, and not in the process of its camera."""

from __future__ import annotations

import io
import statistics
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.mjpeg import MjpegCamera
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.line import Line
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.runtime.sinks import JsonLines
from edgetl.runtime.sources import Frame, Source
from edgetl.runtime.sources.video import VideoFile
from edgetl.runtime.trust import Trust, TrustSettings
from edgetl.runtime.trust.stillness import Stillness
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny, videos
from tests.runtime.capture.cameras import end, started
from tests.runtime.line_rig import SlowInterpreter
from tests.runtime.test_preprocess import ramp

SMALL, LARGE = (320, 240), (1280, 720)
WARM, MEASURED = 15, 20  # frames
ROOM_BYTES = 32_000  # how much more a frame of 2.8 MB may cost than one of 0.2 MB


class Peak:
    """A sink that notes, from frame to frame, the most memory that was in use at once beyond what was there before."""

    def __init__(self) -> None:
        self._seen = 0
        self._peaks: list[int] = []

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        self._seen += 1
        if self._seen == WARM:
            tracemalloc.start()
        if self._seen > WARM:
            self._peaks.append(tracemalloc.get_traced_memory()[1] - self._before)
        if self._seen >= WARM:
            tracemalloc.reset_peak()
            self._before = tracemalloc.get_traced_memory()[0]

    def close(self) -> None:
        tracemalloc.stop()

    @property
    def bytes(self) -> float:
        """The median: frames that wait for the first time need memory of their own, once."""
        return statistics.median(self._peaks)


@pytest.fixture(autouse=True)
def _untraced() -> Iterator[None]:
    yield
    tracemalloc.stop()


@contextmanager
def video(size: tuple[int, int], folder: Path) -> Iterator[Source]:
    yield VideoFile(videos.write(folder / f"{size[0]}.avi", WARM + MEASURED, size=size))


@contextmanager
def camera_address(size: tuple[int, int]) -> Iterator[str]:
    port = free_port()
    process, _ = started(sys.executable, "-m", "edgetl.benchmarks.mjpeg_camera", port, 50, f"{size[0]}x{size[1]}")
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        end(process)


@contextmanager
def camera(size: tuple[int, int], folder: Path) -> Iterator[Source]:
    with camera_address(size) as address:
        yield Camera(address)


@pytest.mark.parametrize("opened", [video, camera])
def test_line_needs_no_more_memory_for_a_larger_frame(opened: Callable[..., Iterator[Source]], tmp_path: Path) -> None:
    peaks = []
    for size in (SMALL, LARGE):
        with opened(size, tmp_path) as source:
            peak, trust = Peak(), Trust(TrustSettings(quality=False), None, source)
            inspector = Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE)
            sinks = [JsonLines(io.StringIO()), peak]
            summary = Line(source, inspector, sinks, WARM + MEASURED, trust=trust.frame, quality=trust.inputs).run()
        peak.close()
        assert summary.frames - summary.dropped >= WARM + MEASURED // 2 and peak.bytes > 0
        peaks.append(peak.bytes)
    assert peaks[1] < peaks[0] + ROOM_BYTES


def test_camera_s_process_needs_no_more_memory_for_a_larger_jpeg() -> None:
    peaks = []
    for size in (SMALL, LARGE):
        slot = memoryview(bytearray(size[0] * size[1] * 3))
        with camera_address(size) as address:
            grabber, peak = MjpegCamera(address, CameraConfig()), Peak()
            for index in range(WARM + MEASURED):
                grabbed = grabber.grab(slot)
                assert grabbed is not None and grabbed.damage is None and grabbed.width == size[0]
                peak.show(Frame(index, "f", None, 0.0, 0.0), None)
            grabber.close()
            peak.close()
        peaks.append(peak.bytes)
    assert peaks[1] < peaks[0] + ROOM_BYTES


@pytest.mark.parametrize("resize", ["squash", "fit-shortest", "fit-longest"])
def test_preprocessing_needs_no_more_memory_for_a_larger_frame(resize: str) -> None:
    how = Preprocessing(size=96, resize=resize)  # type: ignore[arg-type]
    peaks = [peak_of(lambda frame: preprocess(frame, how), ramp(*size)) for size in (SMALL, LARGE)]
    assert peaks[1] < peaks[0] + ROOM_BYTES


def test_looking_for_a_frozen_picture_needs_no_more_memory_for_a_larger_frame() -> None:
    peaks = []
    for size in (SMALL, LARGE):
        stillness = Stillness()
        peaks.append(peak_of(lambda frame: stillness.seconds(frame, 0.0), ramp(*size)))  # noqa: B023
    assert peaks[1] < peaks[0] + ROOM_BYTES


def peak_of(look: Callable[[Image], object], frame: Image) -> int:
    """The most memory that a second look takes."""
    look(frame)
    tracemalloc.start()
    look(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
