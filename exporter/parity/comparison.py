"""Compares two sets of answers: values in, a record out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgetl.exporter.measuring import expected_flips
from edgetl.exporter.parity.record import ClassParity, Comparison, Flip, LogitError, Said
from edgetl.runtime.decision import Decision, DecisionRule, decide
from edgetl.runtime.metrics import Interval, balanced_accuracy, confusion_matrix, wilson

Logits = NDArray[np.float32]


MANY = 1000  # pictures, of which the count of changed labels says enough


def compare(
    float_logits: Logits,
    logits: Logits,
    pictures: list[str],
    truths: list[str],
    rule: DecisionRule,
    *,
    scores: bool = False,
) -> Comparison:
    """Compares a model's logits (pictures×labels) with the network's, on pictures of known truth. `scores`: they were made of a
    one-class bundle's scores, whose rounding does not add to them."""
    before, after = ([decide(row, rule) for row in rows] for rows in (float_logits, logits))
    flips = [
        _flip(picture, truth, b, a)
        for picture, truth, b, a in zip(pictures, truths, before, after, strict=True)
        if b.label != a.label
    ]
    same = len(pictures) - len(flips)
    margins = _margins(float_logits, logits)
    expected = None if scores or not flips or len(pictures) > MANY else expected_flips(float_logits, logits)
    truth = np.array([rule.labels.index(t) for t in truths], np.int64)
    return Comparison(
        pictures=len(pictures),
        same=same,
        same_interval=wilson(same, len(pictures)) or Interval(0.0, 1.0),
        unsure=sum(b.label == a.label and b.verdict != a.verdict for b, a in zip(before, after, strict=True)),
        expected_percent=None if expected is None else round(100 * expected, 4),
        balanced_accuracy=_balanced(truth, after, rule),
        float_balanced_accuracy=_balanced(truth, before, rule),
        logit_error=logit_error(float_logits, logits),
        by_class=tuple(_class(label, truths, before, after) for label in rule.labels),
        flips=tuple(flips),
        ties=sum(lead == 0.0 and changed for _, lead, changed in margins),
        margins=margins,
    )


def _flip(picture: str, truth: str, before: Decision, after: Decision) -> Flip:
    kind = "lost" if before.label == truth else "gained" if after.label == truth else "moved"
    return Flip(picture=picture, truth=truth, float_said=_said(before), said=_said(after), kind=kind)


def _said(decision: Decision) -> Said:
    return Said(decision.verdict, decision.label, round(decision.score, 4))


def _balanced(truth: NDArray[np.int64], decisions: list[Decision], rule: DecisionRule) -> float:
    given = np.array([d.index for d in decisions], np.int64)
    return balanced_accuracy(confusion_matrix(truth, given, len(rule.labels)))


def _class(label: str, truths: list[str], before: list[Decision], after: list[Decision]) -> ClassParity:
    pairs = [(b.label, a.label) for t, b, a in zip(truths, before, after, strict=True) if t == label]
    return ClassParity(
        label,
        len(pairs),
        sum(b == label for b, _ in pairs),
        sum(a == label for _, a in pairs),
        sum(b != a for b, a in pairs),
    )


def logit_error(expected: Logits, found: Logits) -> LogitError:
    """The differences of two arrays of logits of the same shape."""
    wanted = expected.astype(np.float64)
    difference = np.abs(found.astype(np.float64) - wanted)
    noise, power = float((difference**2).mean()), float((wanted**2).mean())
    snr = 10 * math.log10(power / noise) if noise > 0 and power > 0 else math.inf
    worst = float(difference.max())
    p99 = float(np.quantile(difference, 0.99))
    return LogitError(round(float(difference.mean()), 5), round(p99, 5), round(worst, 5), round(min(snr, 200.0), 2))


def _margins(float_logits: Logits, logits: Logits) -> tuple[tuple[float, float, bool], ...]:
    """The lead of the network's best label over its second, that label's lead in the model's answer, and whether the
    model's best is another."""
    if float_logits.shape[1] < 2:
        return ()
    best = float_logits.argmax(axis=1)
    rows = np.arange(len(best))
    return tuple(
        (round(float(a), 4), round(float(b), 4), bool(changed))
        for a, b, changed in zip(
            _lead(float_logits, rows, best), _lead(logits, rows, best), logits.argmax(axis=1) != best, strict=True
        )
    )


def _lead(logits: Logits, rows: NDArray[np.int64], best: NDArray[np.int64]) -> NDArray[np.float64]:
    others = logits.astype(np.float64)
    own = others[rows, best]
    others[rows, best] = -np.inf
    lead: NDArray[np.float64] = own - others.max(axis=1)
    return lead
