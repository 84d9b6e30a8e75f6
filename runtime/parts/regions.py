"""Several places in one frame, each with its own expected answer, and the one answer of the part."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgetl.errors import FrameError, UsageError
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.parts.settings import Box, RegionSettings
from edgetl.runtime.parts.votes import Answer
from edgetl.runtime.preprocess import Image
from edgetl.runtime.verdict import RegionResult

Pixels = tuple[int, int, int, int]

# A certain defect decides; then what cannot be trusted; OK only when every place is.
_WORST_FIRST = ("NG", "FAULT", "UNKNOWN", "OK")


class Region(msgspec.Struct, frozen=True):
    """A place of the frame with the rule that holds there. `box` None is the whole frame."""

    name: str
    box: Box | None
    rule: DecisionRule

    @property
    def expected(self) -> tuple[str, ...]:
        """The labels that are good here."""
        return self.rule.ok_labels


def regions_of(settings: Sequence[RegionSettings], rule: DecisionRule) -> tuple[Region, ...]:
    """The regions of a line; without any the whole frame, as the bundle judges it. Raises UsageError."""
    names = [s.name for s in settings]
    if len(set(names)) != len(names):
        raise UsageError(f"regions: a name is given twice among {', '.join(names)}")
    if not settings:
        return (Region("", None, rule),)
    return tuple(Region(s.name, s.box, _rule(s, rule)) for s in settings)


def _rule(settings: RegionSettings, rule: DecisionRule) -> DecisionRule:
    expect = (settings.expect,) if isinstance(settings.expect, str) else settings.expect or rule.ok_labels
    if not set(expect) <= set(rule.labels):
        raise UsageError(
            f"regions: {settings.name} expects {', '.join(expect)}; the bundle knows {', '.join(rule.labels)}"
        )
    score = rule.min_score if settings.min_score is None else settings.min_score
    return msgspec.structs.replace(rule, ok_labels=tuple(expect), min_score=score)


def pixels(box: Box, width: int, height: int) -> Pixels:
    """A box in pixels of a frame of that size. Raises FrameError when it does not lie within it."""
    fractions = max(box) <= 1.0
    scale = (width, height, width, height) if fractions else (1, 1, 1, 1)
    x0, y0, x1, y1 = (round(value * by) for value, by in zip(box, scale, strict=True))
    if x1 > width or y1 > height or x1 <= x0 or y1 <= y0:
        raise FrameError(f"a region at {x0}, {y0}, {x1}, {y1} does not lie in a frame of {width}×{height}")
    return x0, y0, x1, y1


def cut(frame: Image, box: Box) -> Image:
    """The part of a frame (H×W×3) within a box, as a view."""
    x0, y0, x1, y1 = pixels(box, frame.shape[1], frame.shape[0])
    return frame[y0:y1, x0:x1]


def together(regions: Sequence[Region], answers: Sequence[Answer]) -> Answer:
    """One answer from those of all regions: the worst of them, named; of several OK the least sure."""
    pairs = list(zip(regions, answers, strict=True))
    worst = min((a.verdict for a in answers), key=_WORST_FIRST.index)
    candidates = [(r, a) for r, a in pairs if a.verdict == worst]
    region, answer = min(candidates, key=lambda pair: pair[1].score or 0.0) if worst == "OK" else candidates[0]
    if len(regions) == 1 and not region.name:
        return answer
    return msgspec.structs.replace(answer, reason=None if worst == "OK" else "; ".join(_said(*c) for c in candidates))


def _said(region: Region, answer: Answer) -> str:
    if answer.verdict == "NG":
        return f"{region.name}: {answer.label}, expected {' or '.join(region.expected)}"
    return f"{region.name}: {answer.reason or answer.verdict}"


def results(regions: Sequence[Region], answers: Sequence[Answer], frame: Image | None) -> tuple[RegionResult, ...]:
    """What each named region says, with its box in pixels of the frame where it lies in one."""
    named = [(r, a) for r, a in zip(regions, answers, strict=True) if r.box is not None]
    return tuple(
        RegionResult(
            name=r.name, verdict=a.verdict, label=a.label,
            score=None if a.score is None else round(a.score, 5), expected=r.expected,
            box=_seen_at(r, frame),
        )
        for r, a in named
    )  # fmt: skip


def _seen_at(region: Region, frame: Image | None) -> Pixels | None:
    """Where the region lies in the frame, if there is one and it does."""
    if frame is None or region.box is None:
        return None
    try:
        return pixels(region.box, frame.shape[1], frame.shape[0])
    except FrameError:
        return None
