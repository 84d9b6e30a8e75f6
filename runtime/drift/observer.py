"""Feeds the watch from the judging thread: a picture and its logits are put aside, and looked at in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import StorageError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.drift.baseline import read_baseline, write_baseline
from edgetl.runtime.drift.figures import observe
from edgetl.runtime.drift.report import DriftReport, Kind, said
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.drift.watch import Watch
from edgetl.runtime.interpreters.base import Interpreter
from edgetl.runtime.mailbox import Mailbox
from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import Reference, read_reference
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.verdict import Verdict

_EACH_S = 0.1  # at most 10 pictures a second are looked at (0.5 ms each): a sample is as good for a mean
_WAITING = 4

_log = logging.getLogger("edgetl.drift")

_Seen = tuple[Image, NDArray[np.float32], str]


class Observer:
    """Looks at judged pictures. `saw` costs the judging thread some microseconds; what comes too fast is passed over.

    `told` is called in the observer's thread with each new report. It is a sink too, so that it ends with the line.
    """

    def __init__(
        self, watch: Watch, reference: Reference | None, temperature: float, told: Callable[[DriftReport], None],
        keep: Path | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._watch = watch
        self._reference = reference
        self._temperature = temperature
        self._told = told
        self._keep = keep
        self._clock = clock
        self._next_s = 0.0
        self.report = watch.report
        self._seen: Mailbox[_Seen] = Mailbox(_WAITING, keep_all=False)
        self._relearn = threading.Event()
        self.failure: StorageError | None = None
        self._thread = threading.Thread(target=self._look, name="drift", daemon=True)
        self._thread.start()

    def saw(self, image: Image, logits: NDArray[np.float32], label: str) -> None:
        """A picture was judged; image S×S×3 uint8 RGB, one logit a label. Never waits."""
        now = self._clock()
        if now >= self._next_s:
            self._next_s = now + _EACH_S
            self._seen.put((image, logits, label))

    def relearn(self) -> None:
        """The line was changed on purpose: what it looks like is learned anew. Safe from any thread."""
        self._relearn.set()

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Nothing: what is watched was seen while it was judged."""

    def close(self) -> None:
        """Ends the thread."""
        self._seen.close()
        self._thread.join()

    def _look(self) -> None:
        while (seen := self._seen.get()) is not None:
            image, logits, label = seen
            if self._relearn.is_set():
                self._relearn.clear()
                self._watch.relearn()
                self._tell()
            learned = self._watch.baseline
            row = observe(image, logits, label, self._temperature, self._reference)
            if self._watch.add(row, self._clock()):
                if self._watch.baseline is not learned:
                    self._save()
                self._tell()

    def _tell(self) -> None:
        self.report = self._watch.report
        self._told(self.report)

    def _save(self) -> None:
        """Keeps the baseline. A disk that is full costs the memory of it, not the watch."""
        if self._keep is None or self._watch.baseline is None:
            return
        try:
            write_baseline(self._keep, self._watch.baseline)
        except StorageError as error:
            self.failure = error
            _log.error("the drift baseline is not kept: %s", error)


class ObservedInterpreter:
    """An interpreter whose every picture and answer the observer sees; in all else the interpreter itself."""

    def __init__(self, interpreter: Interpreter, observer: Observer, labels: tuple[str, ...]) -> None:
        self._interpreter = interpreter
        self._observer = observer
        self._labels = labels
        self.info = interpreter.info
        self.size = interpreter.size

    def raw(self, image: Image) -> NDArray[np.generic]:
        """As the interpreter gives it, and not observed."""
        return self._interpreter.raw(image)

    def logits(self, image: Image) -> NDArray[np.float32]:
        """One logit a label."""
        logits = self._interpreter.logits(image)
        self._observer.saw(image, logits, self._labels[int(logits.argmax())])
        return logits


def observer_of(bundle: Bundle, settings: DriftSettings, told: Callable[[DriftReport], None]) -> Observer:
    """The observer of a line that runs this bundle. Raises UsageError for a damaged baseline, BundleFormatError."""
    reference = read_reference(bundle)
    record = bundle.model("tflite") or bundle.manifest.models[0]
    model = bundle.manifest.files[record.path].sha256
    keep = Path(settings.baseline) if settings.baseline is not None else None
    baseline = read_baseline(keep, model) if keep is not None else None
    watch = Watch(settings, reference, model, baseline)
    return Observer(watch, reference, bundle.manifest.rule.temperature, told, keep)


def watched(
    bundle: Bundle, model: Interpreter, settings: DriftSettings, board: StatusBoard
) -> tuple[Interpreter, Observer]:
    """The model of a line with its observer: it is logged when an alarm is raised or ends, the board knows all."""
    raised: set[tuple[str, Kind | None]] = set()

    def told(report: DriftReport) -> None:
        nonlocal raised
        now = {(figure.name, figure.alarm) for figure in report.alarms}
        board.tell(drift=said(report))
        if now != raised:
            _log_alarms(report)
        raised = now

    observer = observer_of(bundle, settings, told)
    return ObservedInterpreter(model, observer, bundle.manifest.rule.labels), observer


def _log_alarms(report: DriftReport) -> None:
    figures = " ".join(figure.name for figure in report.alarms) or None
    fields = {"event": "drift" if figures else "drift-over", "figures": figures}
    _log.warning("drift: %s", said(report) or "all figures are back", extra={"fields": fields})
