"""A line whose model hangs when it is told to: a camera that never stops before the real model behind a gate."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.line import Line, Sink
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame
from edgetl.runtime.status import StatusBoard
from tests.runtime import tiny

PATIENCE_S = 30.0


class Endless:
    """A camera that never stops."""

    name = "camera"
    live = True
    triggered = False
    index = 0

    def read(self) -> Frame | None:
        time.sleep(0.005)
        self.index += 1
        now = time.monotonic()
        return Frame(self.index, self.name, tiny.plain("green"), now, now)

    def close(self) -> None:
        pass


class Hanging:
    """The real model, which hangs once it is told to, until it is let go."""

    def __init__(self) -> None:
        self._inner = open_interpreter("litert", tiny.tflite(), "m")
        self.info, self.size = self._inner.info, self._inner.size
        self.go = threading.Event()
        self.go.set()

    def raw(self, image: Image) -> np.ndarray:
        self.go.wait()
        return self._inner.raw(image)

    def logits(self, image: Image) -> np.ndarray:
        return self.raw(image).astype(np.float32) + 128


@contextmanager
def running(sinks: list[Sink], board: StatusBoard) -> Iterator[Hanging]:
    """A line that runs in a thread of its own; gives its model."""
    model = Hanging()
    line = Line(Endless(), Inspector(model, tiny.HOW, tiny.RULE), sinks, board=board)
    thread = threading.Thread(target=line.run)
    thread.start()
    try:
        yield model
    finally:
        model.go.set()
        line.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
