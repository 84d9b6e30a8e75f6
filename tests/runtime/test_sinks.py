"""Where verdicts go: each line at once, the video playable, a full disk not passed over."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgetl.errors import StorageError, UsageError
from edgetl.runtime.line_view import BAR, HEIGHT, STRIP, WIDTH
from edgetl.runtime.sinks import JsonLines, TextLines, VideoWriter
from edgetl.runtime.sources import Frame
from edgetl.runtime.verdict import Verdict
from tests.runtime import pictures as pic
from tests.runtime import tiny


def frame(image: np.ndarray | None = None, fault: str | None = None) -> Frame:
    return Frame(0, "a.png", image, time.monotonic(), 0.0, fault)


def verdict(**changes: object) -> Verdict:
    fields = {"sequence": 1, "verdict": "OK", "label": "ok", "score": 0.93, "source": "a.png", "frame": 0,
              "time_s": 0.0, "latency_ms": 4.2}  # fmt: skip
    return Verdict(**{**fields, **changes})  # type: ignore[arg-type]


class Flushed(io.StringIO):
    """Remembers what had been written at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


def test_json_line_is_out_at_once_and_only_for_verdicts() -> None:
    stream = Flushed()
    sink = JsonLines(stream)
    sink.show(frame(), None)
    assert stream.getvalue() == ""
    sink.show(frame(), verdict(label="Öl\nfleck", verdict="NG"))
    assert stream.seen[-1] == stream.getvalue()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["label"] == "Öl\nfleck"
    sink.close()


def test_text_line_says_what_a_person_needs() -> None:
    stream = Flushed()
    sink = TextLines(stream)
    sink.show(frame(), None)
    sink.show(frame(), verdict(part=12))
    sink.show(frame(), verdict(sequence=2, verdict="FAULT", label=None, score=None, reason="no frame came"))
    sink.close()
    first, second = stream.getvalue().splitlines()
    assert all(word in first for word in ("OK", "ok 0.930", "part 12", "4.2 ms"))
    assert all(word in second for word in ("FAULT", "no frame came", "a.png"))
    assert stream.seen[-1] == stream.getvalue()


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_saved_video_plays_with_every_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"line{suffix}"
    sink = VideoWriter(path, 12.0)
    for number in range(10):
        sink.show(frame(tiny.plain("red", 50 + number, 40)), verdict() if number % 2 else None)
    sink.show(frame(None, "no frame came"), verdict(verdict="FAULT", label=None, score=None, reason="no frame came"))
    sink.close()
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.0)
    shapes = []
    while True:
        good, image = capture.read()
        if not good:
            break
        shapes.append(image.shape)
    assert shapes == [(HEIGHT + BAR, WIDTH + STRIP, 3)] * 11


@pytest.mark.parametrize("name", ["line.mkv", "line", "line.mp4.txt"])
def test_other_suffix_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.mp4 or \.avi"):
        VideoWriter(tmp_path / name, 25.0)


def test_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        VideoWriter(tmp_path / "nowhere" / "line.mp4", 25.0)


def test_folder_of_that_name_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "line.avi").mkdir()
    with pytest.raises(UsageError, match="a folder"):
        VideoWriter(tmp_path / "line.avi", 25.0)


def test_place_that_cannot_be_written_is_a_storage_error() -> None:
    sink = VideoWriter(Path("/proc/line.avi"), 25.0)
    with pytest.raises(StorageError, match=r"cannot write /proc/line\.avi"):
        sink.show(frame(tiny.plain("red")), None)
    sink.close()


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_disk_that_fills_up_is_told_and_the_earlier_video_stays(full_disk: Path, suffix: str) -> None:
    path = full_disk / f"line{suffix}"
    path.write_bytes(b"earlier")
    sink = VideoWriter(path, 25.0)
    for number in range(40):  # inspection goes on meanwhile
        sink.show(frame(pic.noise(640, 480, number)), verdict())
    with pytest.raises(StorageError, match=f"cannot write {path}"):
        sink.close()
    assert path.read_bytes() == b"earlier"
    assert list(full_disk.iterdir()) == [path]


def test_earlier_video_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "line.mp4"
    path.write_bytes(b"earlier")
    sink = VideoWriter(path, 25.0)
    sink.show(frame(tiny.plain("red")), verdict())
    assert path.read_bytes() == b"earlier"
    sink.close()
    assert cv2.VideoCapture(str(path)).read()[0]
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_shown_writes_nothing(tmp_path: Path) -> None:
    sink = VideoWriter(tmp_path / "line.avi", 25.0)
    sink.close()
    assert list(tmp_path.iterdir()) == []
