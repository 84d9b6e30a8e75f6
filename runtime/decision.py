"""From logits to a decision. One function, used at export to judge parity and on the device to judge parts."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.verdict import VerdictKind

# What the good class of an OK/NG data set is usually called; `--ok` overrules.
USUAL_OK_NAMES = frozenset({"ok", "good", "normal", "pass", "passed", "io", "intact", "non_defective", "nondefective"})


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Verdicts by the chance that the part is bad (the sum over the labels that are not good): OK at most at `ok_below`,
    NG at least at `ng_above`, and UNKNOWN between the two."""

    ok_below: float
    ng_above: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.ok_below <= self.ng_above <= 1.0:
            raise ModelError(
                f"limits {self.ok_below:g} and {self.ng_above:g} must be chances, the first not above the second"
            )


class DecisionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels in the order of the model's outputs, which of them are good, and how sure a verdict must be.

    A label that is not in `ok_labels` is NG. Where nothing tells good from bad (sorting), all labels are good and
    the label itself is the answer. Below `min_score` the verdict is UNKNOWN. With `limits` the chance that the part is bad
    decides instead, and `min_score` holds for OK alone.
    """

    labels: tuple[str, ...]
    ok_labels: tuple[str, ...]
    min_score: float = 0.5
    temperature: float = 1.0
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise ModelError(f"labels must be distinct and at least one: {', '.join(self.labels) or 'none'}")
        if not set(self.ok_labels) <= set(self.labels):
            unknown = sorted(set(self.ok_labels) - set(self.labels))
            raise ModelError(f"OK label {', '.join(unknown)} is not among the labels {', '.join(self.labels)}")
        if not 0.0 <= self.min_score <= 1.0:
            raise ModelError(f"min_score {self.min_score} is not a probability between 0 and 1")
        if not self.temperature > 0.0:
            raise ModelError(f"temperature {self.temperature} must be above 0")
        if self.limits is not None and not self.tells_good_from_bad:
            raise ModelError("limits need labels of good parts and labels of bad ones")

    @property
    def tells_good_from_bad(self) -> bool:
        """Whether some labels are good and some are not; else the labels sort."""
        return 0 < len(self.ok_labels) < len(self.labels)


class Decision(msgspec.Struct, frozen=True):
    """What the model says of one picture: the best label, its probability, and the verdict that follows."""

    verdict: VerdictKind
    label: str
    index: int
    score: float


def usual_ok_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels whose names say that the part is good; all of them where none does (sorting)."""
    named = tuple(label for label in labels if label.casefold() in USUAL_OK_NAMES)
    return named or labels


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax along the last axis, in double precision, so that the sum is one to 1e-15."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result


def decide(logits: NDArray[np.float32], rule: DecisionRule) -> Decision:
    """Judges one picture's logits (shape: number of labels). Logits that are not finite raise ModelError."""
    if logits.shape != (len(rule.labels),):
        raise ModelError(f"the model gives {logits.shape} outputs, the bundle names {len(rule.labels)} labels")
    if not np.isfinite(logits).all():
        raise ModelError("the model gave a logit that is not finite")
    return decide_chances(probabilities(logits, rule.temperature), rule)


def decide_chances(chances: NDArray[np.float64], rule: DecisionRule) -> Decision:
    """Judges probabilities, one a label."""
    if rule.limits is not None:
        return _by_limits(chances, rule, rule.limits)
    index = int(chances.argmax())
    label, score = rule.labels[index], float(chances[index])
    if score < rule.min_score:
        return Decision("UNKNOWN", label, index, score)
    return Decision("OK" if label in rule.ok_labels else "NG", label, index, score)


def why_unsure(rule: DecisionRule) -> str:
    """What an UNKNOWN of this rule means, in words."""
    if rule.limits is None:
        return f"score below {rule.min_score:g}"
    sure_below, sure_above = min(rule.limits.ok_below, 1 - rule.min_score), rule.limits.ng_above
    return f"chance of being bad between {100 * sure_below:.4g} and {100 * sure_above:.4g} %"


def bad_chances(chances: NDArray[np.float64], rule: DecisionRule) -> NDArray[np.float64]:
    """The chance that the part is bad, of probabilities along the last axis."""
    bad: NDArray[np.float64] = chances[..., [label not in rule.ok_labels for label in rule.labels]].sum(axis=-1)
    return bad


def log_odds(logits: NDArray[np.float32], rule: DecisionRule) -> float:
    """How much likelier bad than good, as a logarithm: it still tells pictures apart whose chances round to one."""
    scaled = logits.astype(np.float64) / rule.temperature
    bad = np.array([label not in rule.ok_labels for label in rule.labels])
    return float(np.logaddexp.reduce(scaled[bad]) - np.logaddexp.reduce(scaled[~bad]))


def _by_limits(chances: NDArray[np.float64], rule: DecisionRule, limits: Limits) -> Decision:
    """The label named is the likeliest on the verdict's side, and of all where nothing is decided."""
    bad = float(bad_chances(chances, rule))
    verdict: VerdictKind = "UNKNOWN"
    if bad >= limits.ng_above:
        verdict = "NG"
    elif bad <= limits.ok_below and 1 - bad >= rule.min_score:
        verdict = "OK"
    fits = [verdict == "UNKNOWN" or (label in rule.ok_labels) == (verdict == "OK") for label in rule.labels]
    index = int(np.where(fits, chances, -1.0).argmax())
    return Decision(verdict, rule.labels[index], index, float(chances[index]))
