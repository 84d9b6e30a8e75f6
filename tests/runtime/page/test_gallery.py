"""The gallery copies little, keeps few pictures, and gives the newest frame to whoever waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np

from edgetl.runtime.page.gallery import KEPT, Gallery
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict


class Clock:
    """Goes on by what it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def frame(grey: int, width: int = 64) -> Frame:
    return Frame(0, "cam", np.full((48, width, 3), grey, np.uint8), 0.0, 0.0)


def verdict(sequence: int, kind: str = "NG") -> Verdict:
    label = None if kind == "FAULT" else "scratch"
    return Verdict(sequence=sequence, verdict=kind, label=label, source="cam", frame=0, time_s=0, latency_ms=1)  # type: ignore[arg-type]


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.005)


def pixels(jpeg: bytes) -> np.ndarray:  # type: ignore[type-arg]
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_nothing_is_copied_while_nobody_looks() -> None:
    gallery = Gallery(Clock())
    gallery.show(frame(10), None)
    gallery.show(frame(20), verdict(1, "OK"))
    assert gallery.newest(0, 0) is None
    gallery.close()


def test_newest_frame_is_given_with_its_verdict_and_survives_reuse_of_the_cameras_memory() -> None:
    clock = Clock()
    gallery = Gallery(clock)
    gallery.newest(0, 0)
    shown = frame(10)
    gallery.show(shown, verdict(1, "OK"))
    assert shown.image is not None
    shown.image[:] = 255
    live = gallery.newest(0, 0)
    assert live is not None and live.verdict is not None and live.verdict.sequence == 1
    assert abs(int(pixels(gallery.jpeg(live, 640, 80)).mean()) - 10) <= 1
    clock.now += 0.01
    gallery.show(frame(30), None)
    assert gallery.newest(live.number, 0) is None  # 15 a second are enough
    clock.now += 0.1
    gallery.show(frame(40), None)
    later = gallery.newest(live.number, 0)
    assert later is not None and later.verdict is live.verdict
    gallery.close()


def test_who_waits_is_woken_by_the_next_frame() -> None:
    gallery = Gallery()
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(gallery.newest(0, 30)))
    waiting.start()
    until(lambda: gallery.show(frame(5), None) or not waiting.is_alive())
    waiting.join()
    assert found[0] is not None
    gallery.close()


def test_live_picture_is_shrunk_to_the_width_that_was_asked_for_and_encoded_once() -> None:
    gallery = Gallery(Clock())
    gallery.newest(0, 0)
    gallery.show(frame(10, width=200), None)
    live = gallery.newest(0, 0)
    assert live is not None
    assert pixels(gallery.jpeg(live, 100, 80)).shape == (24, 100, 3)
    assert gallery.jpeg(live, 100, 80) is gallery.jpeg(live, 100, 80)
    assert pixels(gallery.jpeg(live, 640, 80)).shape == (48, 200, 3)
    gallery.close()


def test_last_rejects_are_kept_newest_first_and_no_more_than_some() -> None:
    clock = Clock()
    gallery = Gallery(clock)
    for sequence in range(1, KEPT + 6):
        clock.now += 1
        gallery.show(frame(sequence, width=1200), verdict(sequence))
        until(lambda: gallery.rejects() and gallery.rejects()[0].sequence == sequence)  # noqa: B023
    clock.now += 1
    gallery.show(frame(9), verdict(99, "OK"))
    gallery.close()
    kept = [v.sequence for v in gallery.rejects()]
    assert kept == list(range(KEPT + 5, 5, -1))
    newest = gallery.reject(KEPT + 5)
    assert newest is not None and newest.width == 1200
    assert pixels(newest.picture).shape[1] == 960 and pixels(newest.thumbnail).shape[1] == 176
    assert gallery.reject(1) is None


def test_lost_frame_is_a_reject_without_a_picture() -> None:
    gallery = Gallery(Clock())
    gallery.show(Frame(0, "cam", None, 0.0, 0.0, fault="gone"), verdict(1, "FAULT"))
    gallery.close()
    kept = gallery.reject(1)
    assert kept is not None and kept.picture == b"" and kept.verdict.verdict == "FAULT"


def test_line_that_rejects_everything_is_not_slowed() -> None:
    gallery = Gallery(Clock())
    for sequence in range(1, 1000):
        gallery.show(frame(1), verdict(sequence))
    gallery.close()
    assert [v.sequence for v in gallery.rejects()] == [1]
