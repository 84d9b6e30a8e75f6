"""PASS, FAIL or INVALID: a latency counts for nothing where the processor was throttled or the file decides otherwise."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.benchmarks.accuracy import Accuracy

MOST_LOST = 0.01  # of the balanced accuracy, as at export


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under which a benchmark was taken. `slowed`: what the system said of heat, voltage or a capped clock, or empty.
    `drift`: the last minute's median beside the first one's in the sustained mode, as a factor."""

    steady: bool
    slowed: str
    accuracy: Accuracy
    p90_ms: float
    budget_ms: float | None = None
    drift: float | None = None


class Judgement(msgspec.Struct, frozen=True):
    """INVALID: the figures must not be quoted. FAIL: they may, and are bad news. `PASS (speed only)`: nobody looked here
    whether int8 still tells labelled pictures apart as float does."""

    result: Literal["PASS", "PASS (speed only)", "FAIL", "INVALID"]
    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the figures may be quoted and are as they should be."""
        return self.result.startswith("PASS")


def judged(found: Conditions) -> Judgement:
    """What may be said of a benchmark."""
    if invalid := tuple(_invalid(found)):
        return Judgement("INVALID", invalid)
    failed = tuple(_failed(found))
    if failed:
        return Judgement("FAIL", failed)
    unknown = _unknown(found.accuracy)
    return Judgement("PASS (speed only)", (unknown,)) if unknown else Judgement("PASS")


def _unknown(accuracy: Accuracy) -> str:
    """Why nothing is known of what int8 lost, or empty."""
    if accuracy.balanced_accuracy is None:
        return "the accuracy was not measured; give labelled pictures with --data"
    if accuracy.float_balanced_accuracy is None:
        return "the bundle holds no float file that runs here, so what int8 lost is not known"
    return ""


def _invalid(found: Conditions) -> list[str]:
    reasons = []
    if found.slowed:
        reasons.append(f"the processor was slowed down ({found.slowed})")
    if not found.steady:
        reasons.append("the times did not settle within 2 % during warm-up: something else runs on this machine")
    if found.drift is not None and found.drift > 1.05:
        reasons.append(f"the last minute's median was {found.drift:.2f} times the first one's")
    return reasons


def _failed(found: Conditions) -> list[str]:
    reasons, accuracy = [], found.accuracy
    if accuracy.golden_flips:
        reasons.append(f"{accuracy.golden_flips} of {accuracy.golden_pictures} golden verdicts are others here")
    own, plain = accuracy.balanced_accuracy, accuracy.float_balanced_accuracy
    if own is not None and plain is not None and plain - own > MOST_LOST:
        reasons.append(
            f"int8 loses {100 * (plain - own):.1f} points of balanced accuracy on {accuracy.pictures} pictures"
        )
    if found.budget_ms is not None and found.p90_ms > found.budget_ms:
        reasons.append(f"p90 is {found.p90_ms:.1f} ms, more than the budget of {found.budget_ms:g} ms")
    return reasons
