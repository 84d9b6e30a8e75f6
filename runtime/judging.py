"""From frames on their way through the stages to verdicts: each part exactly one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count

import msgspec

from edgetl.errors import FrameError
from edgetl.runtime.inspector import Inspector, Opinion
from edgetl.runtime.parts.conclusion import NO_FRAME, Conclusion, Reading, conclude
from edgetl.runtime.parts.gate import PartMark, Step
from edgetl.runtime.parts.regions import Region, cut, regions_of, results
from edgetl.runtime.parts.settings import RegionSettings, VotingSettings
from edgetl.runtime.parts.votes import Answer
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.summary import Times
from edgetl.runtime.verdict import NOT_JUDGED, Doubt, Verdict

Shown = tuple[Frame, Verdict | None]
STOPPED = Doubt("UNKNOWN", "the line stopped before this part was judged")


class Shot(msgspec.Struct):
    """A frame on its way: what it means for the parts, and what the stages made of it so far."""

    frame: Frame
    step: Step
    capture_ms: float = 0.0
    preprocess_ms: float = 0.0
    images: tuple[Image, ...] = ()
    doubt: Doubt | None = None


def remains(shot: Shot) -> Shot | None:
    """What must be left of a shot that had to go: nothing, or a note without its picture if it concerns a part."""
    if shot.step.part is None and not shot.step.ended:
        return None
    lost = msgspec.structs.replace(shot.frame, image=None)
    return Shot(lost, shot.step, shot.capture_ms, doubt=Doubt("UNKNOWN", NOT_JUDGED))


def is_trusted(shot: Shot) -> bool:
    """Whether a part could be judged by such a frame: it came, and nothing spoke against it before the model's input
    was made of it. A doubt about the input is the part's own, and one that went unjudged says nothing of the frame."""
    spoken_against = shot.doubt is not None and shot.doubt.reason != NOT_JUDGED and not shot.images
    return shot.frame.fault is None and not spoken_against


class Stamp(msgspec.Struct, frozen=True):
    """Whose verdict it is and when, by the wall clock; `synced`: whether that clock can be trusted."""

    device: str | msgspec.UnsetType = msgspec.UNSET
    time: str | msgspec.UnsetType = msgspec.UNSET
    synced: bool | msgspec.UnsetType = msgspec.UNSET


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """By what the parts of a line are judged and named, apart from the bundle."""

    regions: tuple[RegionSettings, ...] = ()
    voting: VotingSettings = VotingSettings()
    max_latency_ms: float | None = None  # a verdict that comes later is UNKNOWN: the part is gone
    next_sequence: Callable[[], int] | None = None
    stamp: Callable[[], Stamp] = Stamp


class Judge:
    """Prepares shots on one thread and judges them on another; verdicts come in the order of the parts."""

    def __init__(self, inspector: Inspector, rules: Rules, times: Times) -> None:
        self._inspector = inspector
        self._rules = rules
        self._times = times
        self._regions = regions_of(rules.regions, inspector.rule)
        self._next = rules.next_sequence or count(1).__next__
        self._readings: list[Reading] = []
        self._last: Frame | None = None  # of the part at hand
        self._away = False
        self._here: PartMark | None = None  # the part at hand: it has frames, and wants more
        self._done: PartMark | None = None  # the last one that got its verdict

    def prepare(self, shot: Shot) -> None:
        """Cuts out and preprocesses what is to be judged. A frame that is none raises FrameError."""
        if not shot.step.judged or shot.doubt is not None:
            return
        if shot.frame.image is None:
            shot.doubt = Doubt("FAULT", shot.frame.fault or NO_FRAME)
            return
        start = time.perf_counter()
        try:
            pictures = [_picture(shot.frame.image, region) for region in self._regions]
        except FrameError as error:  # the camera gives another size than the regions were drawn on
            shot.doubt = Doubt("FAULT", str(error))
            return
        shot.images = tuple(
            self._inspector.prepare(picture, whole=region.box is not None)
            for picture, region in zip(pictures, self._regions, strict=True)
        )
        shot.preprocess_ms = (time.perf_counter() - start) * 1000

    def take(self, shot: Shot) -> Iterator[Shown]:
        """What is to be shown once this shot is judged: parts that ended before it, and the frame itself."""
        for mark in shot.step.ended:
            yield from self.end(mark, shot.frame)
        yield shot.frame, self._verdict_of(shot)

    def end(self, mark: PartMark, near: Frame) -> Iterator[Shown]:
        """The verdict of a part that gets no more frames, unless it has one; `near` is the frame where that was seen."""
        if mark.passed_over:
            lost = msgspec.structs.replace(near, image=None, part=mark.part, fault=None)
            self._readings.append(Reading(doubt=NOT_JUDGED, kind="UNKNOWN"))
            yield lost, self._concluded(lost, mark)
        elif mark != self._done:
            frame = self._last or msgspec.structs.replace(near, image=None, part=mark.part, fault=NO_FRAME)
            yield frame, self._concluded(frame, mark)

    def break_off(self, doubt: Doubt, near: Frame) -> Iterator[Shown]:
        """The verdict of the part at hand, if any, when one of its frames could not be judged."""
        if self._here is not None:
            self._readings.append(Reading(doubt=doubt.reason, kind=doubt.kind))
            yield from self.end(self._here, near)

    def fault(self, frame: Frame, reason: str) -> Verdict:
        """A FAULT of the line, not of a part."""
        answer = conclude([Reading(doubt=reason)], self._regions, self._rules.voting)
        return self._verdict(frame, None, answer)

    def _verdict_of(self, shot: Shot) -> Verdict | None:
        part = shot.step.part
        if not shot.step.judged:
            return self._outage(shot.frame)
        if part is not None and part == self._done:
            return None
        self._away = False
        self._here, self._last = part, shot.frame
        self._readings.append(self._reading(shot))
        return self._concluded(shot.frame, part) if shot.step.last else None

    def _outage(self, frame: Frame) -> Verdict | None:
        """Between parts a camera that goes away is told once, not with every frame that is missing."""
        news = frame.fault is not None and not self._away and self._here is None
        self._away = frame.fault is not None
        return self.fault(frame, str(frame.fault)) if news else None

    def _reading(self, shot: Shot) -> Reading:
        if shot.doubt is not None:
            return Reading(doubt=shot.doubt.reason, kind=shot.doubt.kind)
        start = time.perf_counter()
        opinions = tuple(self._opinion(i, r) for i, r in zip(shot.images, self._regions, strict=True))
        self._times.add("inference", (time.perf_counter() - start) * 1000)
        self._times.add("capture", shot.capture_ms)
        self._times.add("preprocess", shot.preprocess_ms)
        return Reading(opinions)

    def _opinion(self, image: Image, region: Region) -> Opinion:
        return self._inspector.judge(image, region.rule)

    def _concluded(self, frame: Frame, mark: PartMark | None) -> Verdict:
        conclusion = conclude(self._readings, self._regions, self._rules.voting)
        self._readings, self._last, self._here, self._done = [], None, None, mark
        verdict = self._verdict(frame, mark, conclusion)
        if conclusion.frames:
            self._times.add("latency", verdict.latency_ms)
        return verdict

    def _in_time(self, answer: Answer, latency_ms: float) -> Answer:
        most_ms = self._rules.max_latency_ms
        if most_ms is None or latency_ms <= most_ms or answer.verdict not in ("OK", "NG"):
            return answer
        late = f"late: {latency_ms:.0f} ms after the frame, more than {most_ms:g}"
        return msgspec.structs.replace(answer, verdict="UNKNOWN", reason=late)

    def _verdict(self, frame: Frame, mark: PartMark | None, conclusion: Conclusion) -> Verdict:
        latency_ms = (time.monotonic() - frame.arrived_s) * 1000
        answer, stamp = self._in_time(conclusion.answer, latency_ms), self._rules.stamp()
        named = bool(self._rules.regions)
        return Verdict(
            sequence=self._next(),
            verdict=answer.verdict,
            label=answer.label,
            score=None if answer.score is None else round(answer.score, 5),
            reason=None if answer.reason is None else as_text(answer.reason),
            source=as_text(frame.name),
            frame=frame.index,
            part=frame.part if mark is None else mark.part,
            time_s=round(frame.time_s, 4),
            latency_ms=round(latency_ms, 3),
            regions=results(self._regions, conclusion.regions, frame.image) if named else msgspec.UNSET,
            frames=conclusion.frames if mark is not None else msgspec.UNSET,
            triggered_s=round(mark.monotonic_s, 4) if mark is not None else msgspec.UNSET,
            device=stamp.device,
            time=stamp.time,
            synced=stamp.synced,
        )


def _picture(frame: Image, region: Region) -> Image:
    return frame if region.box is None else cut(frame, region.box)


def as_text(name: str) -> str:
    """A file's name may be any bytes; Python then holds half characters that neither JSON nor a terminal takes."""
    return name.encode("utf-8", "backslashreplace").decode()
