"""Each frame that a camera sent is a part with one verdict, wherever on its way it gave way to a newer one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.line import Line
from edgetl.runtime.parts.gate import OpenGate
from edgetl.runtime.sources import Frame
from edgetl.runtime.verdict import Verdict
from tests.runtime import pictures as pic
from tests.runtime import tiny
from tests.runtime.line_rig import Kept, SlowInterpreter
from tests.runtime.servers import parts_server

SENT = 240


class UntilSilence(Kept):
    """Ends the line once its camera has fallen silent."""

    line: Line

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        super().show(frame, verdict)
        if verdict is not None and silent(verdict):
            self.line.stop()


def silent(verdict: Verdict) -> bool:
    return "no frame came" in str(verdict.reason)


def bursts(damaged: bool) -> Iterable[bytes]:
    """Pictures as fast as they are taken, with a pause after eighty; of damaged ones one in five."""
    whole = pic.jpeg(pic.noise(320, 240))
    broken = whole[: len(whole) // 3] + bytes(len(whole) // 3) + whole[2 * len(whole) // 3 :]
    for number in range(SENT):
        time.sleep(0.3 if number % 80 == 79 else 0.0)
        yield broken if damaged and number % 5 == 2 else whole


@pytest.mark.fault("C8")
@pytest.mark.parametrize("damaged", [False, True])
def test_every_frame_that_a_camera_sent_has_one_verdict(damaged: bool) -> None:
    """The model is far slower than the bursts, and so is everything on the way to it: the camera's process takes the newest
    of what has come, its slots run out, and the line's mailboxes are full."""
    kept, once = UntilSilence(), iter(bursts(damaged))
    with parts_server(lambda: once) as port:
        source = Camera(f"http://127.0.0.1:{port}/", CameraConfig(open_timeout_s=5, frame_timeout_s=2))
        inspector = Inspector(SlowInterpreter(0.03), tiny.HOW, tiny.RULE)
        kept.line = Line(source, inspector, [kept], gate=OpenGate(numbered=True))
        summary = kept.line.run()
    verdicts = [v for v in kept.verdicts if not silent(v)]
    assert all(map(silent, kept.verdicts[len(verdicts) :])), "it falls silent once, at the end"
    assert len(kept.verdicts) > len(verdicts)
    assert [v.part for v in verdicts] == list(range(1, SENT + 1)), "each frame one verdict, in order"
    assert source.health().skipped > 0
    lost = [v for v in verdicts if v.frames == 0 and v.verdict == "UNKNOWN"]
    assert len(lost) == summary.dropped_parts >= source.health().skipped
    faults = Counter(v.verdict for v in verdicts)["FAULT"]
    assert (faults > 0) == damaged and all("damaged" in str(v.reason) for v in verdicts if v.verdict == "FAULT")


@pytest.mark.fault("C8")
def test_the_last_frames_are_told_though_the_camera_falls_silent_after_them() -> None:
    """Nobody reads while they come, so that most find no slot; what passed them over cannot wait for the next frame."""
    parts, given = iter([pic.jpeg(pic.noise(320, 240))] * 40), threading.Event()

    def paced() -> Iterator[bytes]:
        for part in parts:
            yield part
            time.sleep(0.02)  # each is taken by itself: none gives way to a newer one before the slots run out
        given.set()

    with parts_server(paced) as port:
        source = Camera(f"http://127.0.0.1:{port}/", CameraConfig(frame_timeout_s=1, required_at_start=True))
        assert given.wait(10)
        frames = list(until_silent(source))
        source.close()
    assert sum(frame.passed_over + (frame.image is not None) for frame in frames) == 40
    assert source.skipped == sum(frame.passed_over for frame in frames) > 0


def until_silent(source: Camera) -> Iterator[Frame]:
    """What the camera gives until it says that nothing comes, and that."""
    while (frame := source.read()) is not None:
        yield frame
        if frame.fault is not None:
            return
