"""Draws heat maps one after the other in a thread of low priority, with a model of its own."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import EdgetlError
from edgetl.runtime.anomaly.drawing import strength_of
from edgetl.runtime.interpreters.base import Interpreter
from edgetl.runtime.interpreters.scoring import ScoringInterpreter
from edgetl.runtime.mailbox import Mailbox
from edgetl.runtime.page.gallery import KEPT, Reject
from edgetl.runtime.page.heatmap import Heat, drawn, heat_of, laid_over
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.runtime.verdict import Verdict

_NICE = 10  # the line's threads go first
_WAITING = 4


class HeatMap(msgspec.Struct, frozen=True):
    """A drawn heat map (JPEG) and what it says in words; without a picture it says why there is none."""

    picture: bytes
    said: str


class HeatWorker:
    """`ask` is called from any thread and never waits; the model is loaded with the first question."""

    def __init__(self, load: Callable[[], Interpreter], how: Preprocessing, labels: tuple[str, ...]) -> None:
        self._load = load
        self._how = how
        self._labels = labels
        self._lock = threading.Lock()
        self._done: OrderedDict[int, HeatMap] = OrderedDict()
        self._asked: set[int] = set()
        self._waiting: Mailbox[Reject] = Mailbox(_WAITING, keep_all=False)
        self._thread: threading.Thread | None = None

    def ask(self, sequence: int, reject: Reject | None) -> HeatMap | None:
        """The heat map of a reject, or None while it is being made. `reject` is None when it is no longer kept; a map
        that was begun before is finished all the same."""
        with self._lock:
            if (done := self._done.get(sequence)) is not None:
                return done
            if reject is None and sequence not in self._asked:
                return HeatMap(b"", "that picture is no longer kept")
            if reject is not None and sequence not in self._asked:
                self._asked.add(sequence)
                if (dropped := self._waiting.put(reject)) is not None:
                    self._asked.discard(dropped.verdict.sequence)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="heat", daemon=True)
                self._thread.start()
        return None

    def close(self) -> None:
        """Ends the thread after the map at hand."""
        self._waiting.close()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # on Linux of this thread alone
        interpreter: Interpreter | None = None
        while (reject := self._waiting.get()) is not None:
            try:
                interpreter = interpreter or self._load()
                made = self._made(reject, interpreter)
            except EdgetlError as error:
                made = HeatMap(b"", str(error))
            with self._lock:
                self._asked.discard(reject.verdict.sequence)
                self._done[reject.verdict.sequence] = made
                while len(self._done) > KEPT:
                    self._done.popitem(last=False)

    def _made(self, reject: Reject, interpreter: Interpreter) -> HeatMap:
        if not reject.picture:
            return HeatMap(b"", "the frame was lost, so there is nothing to look at")
        frame: Image = cv2.imdecode(np.frombuffer(reject.picture, np.uint8), cv2.IMREAD_COLOR)
        image = preprocess(_place(frame, reject), self._how_of(reject.verdict))
        picture, said = self._drawn(image, interpreter)
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
        return HeatMap(data.tobytes(), said)

    def _drawn(self, image: Image, interpreter: Interpreter) -> tuple[Image, str]:
        """A detector knows its distances from one inference; a classifier is asked about every spot."""
        if isinstance(interpreter, ScoringInterpreter):
            distances, threshold = interpreter.distances(image), interpreter.detector.threshold
            return laid_over(image, strength_of(distances, threshold)), said_of_distances(distances, threshold)
        heat = heat_of(image, interpreter.logits)
        return drawn(image, heat), said_of(heat, self._labels)

    def _how_of(self, verdict: Verdict) -> Preprocessing:
        """A line's own regions replace the bundle's."""
        return msgspec.structs.replace(self._how, region=None) if _box_of(verdict) is not None else self._how


def said_of_distances(distances: NDArray[np.float32], threshold: float) -> str:
    """What a detector's map says, with its number."""
    return f"the brightest spot lies {float(distances.max()) / threshold:.1f} times as far from good parts as the threshold"


def said_of(heat: Heat, labels: tuple[str, ...]) -> str:
    """What a heat map says, with its numbers."""
    label, lost = labels[heat.label], max(0.0, heat.worst)
    share = lost / heat.margin if heat.margin > 0 else 0.0
    if share < 0.1:
        return f"{label}: no single spot carries the answer (the worst costs {100 * share:.0f} % of its margin)"
    if share >= 1:
        return f"{label}: blurring the brightest spot overturns the answer"
    return f"{label}: blurring the brightest spot costs {100 * share:.0f} % of the answer's margin"


def _box_of(verdict: Verdict) -> tuple[int, int, int, int] | None:
    """The first region that was not OK, in pixels of the frame."""
    for region in getattr(verdict, "regions", None) or ():
        if region.verdict != "OK" and region.box is not None:
            box: tuple[int, int, int, int] = region.box
            return box
    return None


def _place(frame: Image, reject: Reject) -> Image:
    """The place of the kept picture that was judged; the kept one may be smaller than the frame was."""
    box = _box_of(reject.verdict)
    if box is None:
        return frame
    scale = frame.shape[1] / reject.width
    x0, y0, x1, y1 = (round(v * scale) for v in box)
    return frame[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
