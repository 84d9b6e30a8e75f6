"""From logits to a decision. One function, used at export to judge parity and on the device to judge parts."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.verdict import VerdictKind

# What the good class of an OK/NG data set is usually called; `--ok` overrules.
USUAL_OK_NAMES = frozenset({"ok", "good", "normal", "pass", "passed", "io", "intact", "non_defective", "nondefective"})


class DecisionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels in the order of the model's outputs, which of them are good, and how sure a verdict must be.

    A label that is not in `ok_labels` is NG. Where nothing tells good from bad (sorting), all labels are good and
    the label itself is the answer. Below `min_score` the verdict is UNKNOWN.
    """

    labels: tuple[str, ...]
    ok_labels: tuple[str, ...]
    min_score: float = 0.5
    temperature: float = 1.0

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
    chances = probabilities(logits, rule.temperature)
    index = int(chances.argmax())
    label, score = rule.labels[index], float(chances[index])
    if score < rule.min_score:
        return Decision("UNKNOWN", label, index, score)
    return Decision("OK" if label in rule.ok_labels else "NG", label, index, score)
