"""What tests of the loop are built from: a source made of a list, a slow model, a sink that keeps what it was shown."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from edgetl.errors import ModelError
from edgetl.runtime.interpreters import InterpreterInfo, open_interpreter
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny

TFLITE = tiny.tflite()


class ListSource:
    """Gives the frames it was made with, at `every_s`, then ends or raises `error`."""

    name = "list"

    def __init__(
        self, frames: Iterable[Frame], *, live: bool = False, triggered: bool = False,
        error: Exception | None = None, every_s: float = 0.0,
    ) -> None:  # fmt: skip
        self._frames = iter(frames)
        self.live = live
        self.triggered = triggered
        self._error = error
        self._every_s = every_s
        self.closed = 0

    def read(self) -> Frame | None:
        time.sleep(self._every_s)
        frame = next(self._frames, None)
        if frame is None and self._error is not None:
            raise self._error
        return frame

    def close(self) -> None:
        self.closed += 1


class Kept:
    """A sink that keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[Frame, Verdict | None]] = []

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        self.shown.append((frame, verdict))

    def close(self) -> None:
        pass

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for _, verdict in self.shown if verdict is not None]


class SlowInterpreter:
    """The real model behind a wait, and from its `fails_at`-th picture on an error."""

    def __init__(self, wait_s: float = 0.0, fails_at: int | None = None) -> None:
        self._inner = open_interpreter("litert", TFLITE, "m")
        self.info: InterpreterInfo = self._inner.info
        self.size = self._inner.size
        self._wait_s = wait_s
        self._fails_at = fails_at
        self._seen = 0

    def raw(self, image: Image) -> np.ndarray:
        self._seen += 1
        if self._fails_at is not None and self._seen >= self._fails_at:
            raise ModelError("the accelerator went away")
        time.sleep(self._wait_s)
        return self._inner.raw(image)

    def logits(self, image: Image) -> np.ndarray:
        return self.raw(image).astype(np.float32) + 128


def frame(index: int, colour: str | None = None, *, part: int | None = None, fault: str | None = None) -> Frame:
    image = None if fault else tiny.plain(colour or tiny.LABELS[index % 3])
    now = time.monotonic()
    return Frame(index, f"f{index}", image, now, index / 10, fault, part)


def frames(count: int, part_every: int = 0) -> Iterable[Frame]:
    """Frames in the labels' colours; every `part_every`-th one with the next part."""
    for index in range(count):
        part = index // part_every + 1 if part_every and index % part_every == 0 else None
        yield frame(index, part=part)
