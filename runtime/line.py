"""The inspection loop: capture, preprocessing and inference overlap in three threads, and each part gets one verdict.

What a camera sends while the model is busy is dropped, oldest first, and counted; of a file nothing is dropped.
A frame that was lost or cannot be trusted is a FAULT, never a class.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import cv2
import msgspec

from edgetl.errors import EdgetlError, FrameError, SourceError
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.judging import STOPPED, Judge, Rules, Shot, as_text, is_trusted, remains
from edgetl.runtime.mailbox import Mailbox
from edgetl.runtime.parts.gate import Gate, OpenGate, SourceGate, Step
from edgetl.runtime.parts.settings import SourceTrigger
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame, Source
from edgetl.runtime.spare import cores, spare_cores
from edgetl.runtime.status import SourceHealth, StatusBoard
from edgetl.runtime.summary import Summary, Times
from edgetl.runtime.verdict import Doubt, Verdict

_log = logging.getLogger("edgetl.line")
_AT_HAND_S = 1.0  # of the five seconds that a service has to stop in; outputs take four
_QUEUE = 1  # frames waiting between two stages: at 720p each is 2.8 MB
_INPUTS = 4  # the same without their pictures: 0.91 of the slowest stage's rate on two cores, where one reaches 0.85


class Sink(Protocol):
    """Takes what the loop gives: every frame, with its verdict where it was judged."""

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """One frame; `verdict` is None for a frame that no part triggered."""

    def close(self) -> None:
        """Writes out what is still held."""


class Line:
    """One run of the loop over a source."""

    def __init__(
        self,
        source: Source,
        inspector: Inspector,
        sinks: list[Sink],
        limit: int | None = None,
        *,
        gate: Gate | None = None,
        rules: Rules | None = None,
        trust: Callable[[Frame], Doubt | None] | None = None,
        quality: Callable[[Sequence[Image]], Doubt | None] | None = None,
        board: StatusBoard | None = None,
        keep_pictures: bool = True,
    ) -> None:
        """`gate` says which frames belong to which part (default: as the source marks them, or every frame for
        itself); `trust` says of every frame, and `quality` of the model's inputs made of one, why they must not be judged.
        With `keep_pictures` off, a frame's picture is let go once the model's inputs are made of it: no sink sees it."""
        self._source = source
        self._inspector = inspector
        self._sinks = sinks
        self._limit = limit
        self._gate = gate or (SourceGate(SourceTrigger()) if source.triggered else OpenGate())
        self._trust = trust
        self._quality = quality
        self._keep_pictures = keep_pictures
        self._times = Times()
        self._judge = Judge(inspector, rules or Rules(), self._times)
        self.board = board or StatusBoard()
        keep_all = not source.live
        room = 1 if source.live and isinstance(self._gate, OpenGate) and not self._gate.numbered else _QUEUE
        self._captured: Mailbox[Shot] = Mailbox(room, keep_all=keep_all, remains=remains)
        ready = 1 if source.live else _QUEUE if keep_pictures else _INPUTS
        self._ready: Mailbox[Shot] = Mailbox(ready, keep_all=True)
        # On two cores a third thread of a file's would only take turns with the others: 13 % of the rate at 720p.
        self._prepares_apart = source.live or cores() > 2
        self._held_ready: list[Shot] = []  # what a stage still had in hand when the line stopped
        self._held_captured: list[Shot] = []
        self._away_since: float | None = None
        self._stop = threading.Event()
        self._ending = threading.Event()
        self.summary = Summary()
        self.failure: EdgetlError | None = None

    def run(self) -> Summary:
        """Judges until the source ends, the limit is reached or `stop` is called.

        A source or model that fails ends the run with a last FAULT; what was wrong is then in `failure`.
        """
        if not self._source.live:
            cv2.setNumThreads(spare_cores())  # a camera leaves the processor time between its frames, a file does not
        stages = (self._capture, self._prepare) if self._prepares_apart else (self._capture,)
        threads = [threading.Thread(target=stage, daemon=True) for stage in stages]
        started = time.monotonic()
        self._tell_start()
        running: list[threading.Thread] = []
        try:
            for thread in threads:
                thread.start()
                running.append(thread)
            self._judge_all()
        except EdgetlError as error:
            self.failure, self.summary.error = error, as_text(str(error))
        finally:
            self.stop()
            for thread in running:
                thread.join()
            self._source.close()
        self._end()
        self.summary.finish(time.monotonic() - started, self._inspector.interpreter.info, self._times)
        self.board.tell(state="failed" if self.failure else "stopped", error=self.summary.error)
        return self.summary

    def stop(self) -> None:
        """Ends the run after the frames at hand; safe from a signal handler or another thread."""
        self._stop.set()
        self._captured.close()
        self._ready.close()

    def stop_between_parts(self) -> None:
        """Ends the run, as if the source ended, once no part is in view; every part until then is judged."""
        self._ending.set()

    @property
    def part_in_view(self) -> bool:
        """Whether a part is in view or awaited."""
        return not self._gate.idle

    def _tell_start(self) -> None:
        info = self._inspector.interpreter.info
        self.board.tell(state="running", model=info.model, interpreter=info.name, threads=info.threads)
        self.board.watch(self._sinks)
        self.board.tell(source=SourceHealth(name=self._source.name))
        self.board.progress(trusted=False)  # from here on it has to move
        self.board.watch_source(self._source)

    def _capture(self) -> None:
        error: BaseException | None = None
        try:
            for _ in iter(int, 1) if self._limit is None else range(self._limit):
                start = time.perf_counter()
                frame = self._source.read()
                if frame is None or self._stop.is_set():
                    break
                frame, step = self._stepped(frame)
                self._note_outage(frame)
                shot = Shot(frame, step, (time.perf_counter() - start) * 1000)
                self._count(shot, self._handed_on(shot))
                if self._ending.is_set() and self._gate.idle:
                    break
        except Exception as caught:  # carried to the judging thread, which reports it
            error = caught
        (self._captured if self._prepares_apart else self._ready).close(error)

    def _handed_on(self, shot: Shot) -> Shot | None:
        """Gives a frame to the next stage; what had to go for it."""
        if self._prepares_apart:
            return self._captured.put(shot)
        self._make_ready(shot)
        return self._ready.put(shot)

    def _stepped(self, frame: Frame) -> tuple[Frame, Step]:
        """What a frame means for the parts. One of another size than the trigger's zone was drawn on is as good as lost."""
        try:
            return frame, self._gate.step(frame)
        except FrameError as error:
            lost = msgspec.structs.replace(frame, image=None, fault=f"trigger: {error}")
            return lost, self._gate.step(lost)

    def _note_outage(self, frame: Frame) -> None:
        """A live source that goes away or comes back is told once each; a recording's bad picture is not its end."""
        fault = as_text(frame.fault) if frame.fault is not None and self._source.live else None
        if (fault is None) == (self._away_since is None):
            return
        if self._away_since is None:
            self._away_since = frame.arrived_s
            _log.warning("no frames: %s", fault)
        else:
            _log.warning("frames are back after %.1f s", frame.arrived_s - self._away_since)
            self._away_since = None
        self.board.tell(source=SourceHealth(name=self._source.name, ok=fault is None, detail=fault or ""))

    def _count(self, shot: Shot, dropped: Shot | None) -> None:
        if dropped is shot:  # the line stopped meanwhile
            (self._held_captured if self._prepares_apart else self._held_ready).append(shot)
            dropped = None
        self.summary.frames += 1
        self.summary.dropped += dropped is not None
        self.board.frame(dropped=dropped is not None)

    def _prepare(self) -> None:
        error: BaseException | None = None
        try:
            while (shot := self._captured.get()) is not None:
                self._make_ready(shot)
                if self._ready.put(shot) is not None:
                    self._held_ready.append(shot)
        except Exception as caught:  # as above
            error = caught
        self._ready.close(error)

    def _make_ready(self, shot: Shot) -> None:
        if self._trust is not None and shot.frame.image is not None:
            shot.doubt = shot.doubt or self._trust(shot.frame)
        self._judge.prepare(shot)
        if self._quality is not None and shot.images:
            shot.doubt = self._quality(shot.images)
        if shot.images and not self._keep_pictures:
            shot.frame = msgspec.structs.replace(shot.frame, image=None)

    def _judge_all(self) -> None:
        while (shot := self._ready.get()) is not None:
            self._judge_one(shot)

    def _judge_one(self, shot: Shot) -> None:
        for frame, verdict in self._judge.take(shot):
            self._give(frame, verdict, trusted=is_trusted(shot))

    def _give(self, frame: Frame, verdict: Verdict | None, *, trusted: bool = False) -> None:
        start = time.perf_counter()
        self.board.progress(trusted=trusted and (verdict is None or verdict.verdict != "FAULT"))
        if verdict is not None:
            self.summary.count(verdict)
            self.board.verdict(verdict)
        for sink in self._sinks:
            sink.show(frame, verdict)
        if verdict is not None:
            self._times.add("output", (time.perf_counter() - start) * 1000)

    def _end(self) -> None:
        """Every part that was announced gets its verdict, whatever ended the line; a failure has the last word."""
        left = deque((shot, True) for shot in (*_left_in(self._ready), *self._held_ready))
        left.extend((shot, False) for shot in (*_left_in(self._captured), *self._held_captured))
        if self.failure is None:
            self._judge_at_hand(left)
        now = time.monotonic()
        reason = self._reason()
        frame = Frame(self.summary.frames, self._source.name, None, now, now, fault=reason.reason)
        for shown in self._judge.break_off(reason, frame):
            self._give(*shown)
        for shot, _ in left:
            if remains(shot) is not None:
                shot.doubt, shot.images = reason, ()
                for shown in self._judge.take(shot):
                    self._give(*shown)
        for mark in self._gate.finish():
            for shown in self._judge.end(mark, frame):
                self._give(*shown)
        if self.failure is not None:
            self._give(frame, self._judge.fault(frame, reason.reason))

    def _judge_at_hand(self, left: deque[tuple[Shot, bool]]) -> None:
        """Judges what the stages had in hand (and whether it was ready for the model), oldest first, and takes it from
        `left`; what would make a service end too late stays there."""
        until_s = time.monotonic() + _AT_HAND_S
        try:
            while left and time.monotonic() < until_s:
                shot, is_ready = left.popleft()
                if not is_ready:
                    self._make_ready(shot)
                self._judge_one(shot)
        except EdgetlError as error:
            self.failure, self.summary.error = error, as_text(str(error))

    def _reason(self) -> Doubt:
        """Why a part is not judged any more."""
        if self.failure is None:
            return STOPPED
        return Doubt("FAULT", f"{'source' if isinstance(self.failure, SourceError) else 'model'}: {self.failure}")


def _left_in(box: Mailbox[Shot]) -> list[Shot]:
    """What a closed mailbox still holds; what closed it was reported already."""
    left: list[Shot] = []
    with suppress(Exception):
        while (shot := box.get()) is not None:
            left.append(shot)
    return left
