"""The gate: whether a quantized model's decisions are near enough to float's, on the acceptance pictures.

Values in, values out. What a set of pictures cannot resolve is not held against a model: a class of eleven pictures
loses nine points with one picture, so one picture is always allowed, and the outcome says what could be seen.
"""

from __future__ import annotations

import math

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.metrics import Z95, Interval, wilson

ROUNDING = 1e-9  # a loss of exactly the limit may come out a rounding error above it


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may lose against float: points of balanced accuracy, points of recall of any class, the share of
    decisions that change, in per cent, and by how many per cent its logits may be larger or smaller on the whole."""

    max_drop: float = 1.0
    max_recall_loss: float = 1.0
    max_flips: float = 2.0
    max_gain_error: float = 20.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value, flag = getattr(self, name), f"--{name.replace('_', '-')}"
            if not math.isfinite(value):  # nothing is larger than NaN, so the gate would never shut; JSON has neither
                raise UsageError(f"{flag} {value:g}: not a number")
            # To lose less than nothing is to gain, which may be asked of all classes together.
            if value < 0 and name != "max_drop":
                raise UsageError(f"{flag} {value:g}: less than nothing")


class Loss(msgspec.Struct, frozen=True):
    """Recall that one class loses, in points, with its 95 % interval; `finest` is what one picture makes."""

    pictures: int
    lost: int
    gained: int
    points: float
    low: float
    high: float
    finest: float


class Scores(msgspec.Struct, frozen=True):
    """How a one-class model's scores stand to float's. `correlation` is of the scores picture by picture; the areas under
    the ROC curve are None where the acceptance pictures hold no bad part."""

    correlation: float
    auroc_before: float | None
    auroc_after: float | None


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """How many of float's verdicts (OK, NG, UNKNOWN) a model changes, in per cent with a 95 % interval, and how many of these
    are between sure and UNKNOWN. `gated`: whether the gate judges by them."""

    flips: int
    to_or_from_unknown: int
    flips_percent: float
    flips_low: float
    flips_high: float
    gated: bool
    changed: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One model before the gate. Flips and their interval in per cent, drop in points; `gain`: its logits over float's;
    `expected_percent`: flips if any picture met the rounding of any other; both None where there are no logits; `by_chance`: more were
    counted than the limit allows, and not held against the model; `reasons` is empty if it passed; `scores` are there for one-class
    bundles, `verdicts` in all of this version."""

    model: str
    pictures: int
    flips: int
    flips_percent: float
    flips_low: float
    flips_high: float
    drop: float
    gain: float | None = None
    expected_percent: float | None = None
    by_chance: bool = False
    classes: dict[str, Loss]
    changed: tuple[str, ...]
    reasons: tuple[str, ...]
    scores: Scores | None = None
    verdicts: Verdicts | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing was lost beyond the limits."""
        return not self.reasons

    @property
    def worst(self) -> tuple[str, Loss]:
        """The class that loses the most recall."""
        return max(self.classes.items(), key=lambda item: item[1].points)


def pass_or_refuse(
    model: str, truth: dict[str, str], before: dict[str, str], after: dict[str, str], limits: Limits,
    gain: float | None = None, expected: float | None = None,
) -> Outcome:  # fmt: skip
    """Compares a model's decisions (picture to label) with float's on the same pictures; `gain` and `expected` as gain_of and
    expected_flips tell."""
    flipped = sorted(p for p in before if before[p] != after[p])
    share = wilson(len(flipped), len(before)) or Interval(0.0, 1.0)
    classes = {label: _loss(label, truth, before, after) for label in sorted({truth[p] for p in before})}
    drop = sum(loss.points for loss in classes.values()) / len(classes)
    percent = 100 * len(flipped) / len(before)
    expected_percent = None if expected is None else 100 * expected
    too_many = not bearable(len(flipped), len(before), expected_percent, limits.max_flips)
    return Outcome(
        model=model,
        pictures=len(before),
        flips=len(flipped),
        flips_percent=percent,
        flips_low=100 * share.low,
        flips_high=100 * share.high,
        drop=drop,
        gain=gain,
        expected_percent=expected_percent,
        by_chance=not too_many and percent > allowed(limits.max_flips, 100 / len(before)),
        classes=classes,
        changed=tuple(f"{p}: {before[p]} became {after[p]}" for p in flipped),
        reasons=(
            *_losses(drop, classes, limits),
            *(
                [f"flips {percent:.2f} % of the decisions, more than --max-flips {limits.max_flips:g}"]
                if too_many
                else ()
            ),
            *_wrong_scale(gain, limits),
        ),
    )


def _loss(label: str, truth: dict[str, str], before: dict[str, str], after: dict[str, str]) -> Loss:
    own = [p for p in before if truth[p] == label]
    lost = sum(before[p] == label != after[p] for p in own)
    gained = sum(after[p] == label != before[p] for p in own)
    interval = paired(lost, gained, len(own))
    points = 100 * (lost - gained) / len(own)
    return Loss(len(own), lost, gained, points, 100 * interval.low, 100 * interval.high, 100 / len(own))


def paired(lost: int, gained: int, n: int) -> Interval:
    """The interval of a difference of paired proportions: Wald's with half a picture added to each of the four cells
    (A. Agresti and Y. Min, Statistics in Medicine 24, 2005)."""
    total, b, c = n + 2, lost + 0.5, gained + 0.5
    middle = (b - c) / total
    half = Z95 * math.sqrt(b + c - (b - c) ** 2 / total) / total
    return Interval(max(-1.0, middle - half), min(1.0, middle + half))


def bearable(flips: int, pictures: int, expected_percent: float | None, limit: float) -> bool:
    """Whether so many changed labels are within a limit in per cent (docs/adr/0025).

    Of a few dozen pictures the count is mostly luck. Where what is expected lies within the limit, the count is held against a
    model only if the whole of its 95 % interval lies beyond.
    """
    if 100 * flips / pictures <= allowed(limit, 100 / pictures):
        return True
    share = wilson(flips, pictures) or Interval(0.0, 1.0)
    return limit > 0 and expected_percent is not None and expected_percent <= limit and 100 * share.low <= limit


def _losses(drop: float, classes: dict[str, Loss], limits: Limits) -> tuple[str, ...]:
    """Every limit on what is lost that is broken, in words."""
    reasons = []
    coarsest = max(loss.finest for loss in classes.values()) / len(classes)
    if drop > allowed(limits.max_drop, coarsest):
        reasons.append(f"loses {drop:.2f} points of balanced accuracy, more than --max-drop {limits.max_drop:g}")
    for label, loss in classes.items():
        if loss.points > allowed(limits.max_recall_loss, loss.finest):
            limit = f"more than --max-recall-loss {limits.max_recall_loss:g}"
            reasons.append(f"loses {loss.points:.2f} points of recall of class {label} ({loss.lost} pictures), {limit}")
    return tuple(reasons)


def _wrong_scale(gain: float | None, limits: Limits) -> tuple[str, ...]:
    """Labels survive a wrong scale of the logits; scores, and with them UNKNOWN and every threshold, do not."""
    if gain is None or abs(100 * (gain - 1)) <= limits.max_gain_error:
        return ()
    return (
        f"gives logits of {gain:.2f} times float's size, further off than --max-gain-error {limits.max_gain_error:g} %",
    )


def allowed(limit: float, one_picture: float) -> float:
    """A limit finer than one picture allows one picture; a limit of zero or below is meant as it stands."""
    return (max(limit, one_picture) if limit > 0 else limit) + ROUNDING
