"""From logits to a verdict: sure enough or UNKNOWN, good by label, never a guess from nonsense."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.decision import DecisionRule, decide, probabilities, usual_ok_labels

RULE = DecisionRule(labels=("ok", "scratch", "stain"), ok_labels=("ok",), min_score=0.6)


def logits(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def of(*chances: float) -> np.ndarray:
    """Logits whose softmax is the given probabilities."""
    return np.log(np.array(chances)).astype(np.float32)


@pytest.mark.parametrize(
    ("chances", "verdict", "label"),
    [
        ((0.9, 0.05, 0.05), "OK", "ok"),
        ((0.1, 0.7, 0.2), "NG", "scratch"),
        ((0.1, 0.2, 0.7), "NG", "stain"),
        ((0.59, 0.4, 0.01), "UNKNOWN", "ok"),
        ((0.01, 0.4, 0.59), "UNKNOWN", "stain"),
    ],
)
def test_best_label_judges_if_it_is_sure(chances: tuple[float, ...], verdict: str, label: str) -> None:
    decision = decide(of(*chances), RULE)
    assert (decision.verdict, decision.label) == (verdict, label)
    assert decision.score == pytest.approx(max(chances), abs=1e-6)
    assert RULE.labels[decision.index] == label


def test_threshold_itself_is_sure_enough() -> None:
    rule = DecisionRule(labels=("a", "b"), ok_labels=("a",), min_score=0.5)
    assert decide(logits(0, 0), rule).verdict == "OK"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        decide(logits(1, bad, 0), RULE)


@pytest.mark.fault("S10")
@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3), ()])
def test_number_of_outputs_must_be_the_number_of_labels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="3 labels"):
        decide(np.zeros(shape, np.float32), RULE)


def test_temperature_softens_without_changing_the_label() -> None:
    sharp, soft = (decide(logits(4, 1, 0), DecisionRule(RULE.labels, RULE.ok_labels, 0.6, t)) for t in (1.0, 8.0))
    assert (sharp.verdict, soft.verdict) == ("OK", "UNKNOWN")
    assert sharp.label == soft.label
    assert probabilities(logits(2, 4), 2.0) == pytest.approx(probabilities(logits(1, 2)))


def test_huge_logits_do_not_overflow() -> None:
    chances = probabilities(logits(3e38, -3e38, 0))
    assert chances.tolist() == [1.0, 0.0, 0.0]
    assert probabilities(logits(*range(1000))).sum() == pytest.approx(1.0, abs=1e-12)


def test_probabilities_of_a_batch_are_along_the_last_axis() -> None:
    batch = np.array([[0, 0], [0, np.log(3)]], np.float32)
    assert probabilities(batch) == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("OK", "ng"), ("OK",)),
        (("Good", "bad", "ugly"), ("Good",)),
        (("non_defective", "defective"), ("non_defective",)),
        (("apple", "pear"), ("apple", "pear")),
    ],
)
def test_usual_names_say_which_class_is_good(labels: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert usual_ok_labels(labels) == found


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"labels": ()}, "none"),
        ({"labels": ("ok", "ok")}, "distinct"),
        ({"ok_labels": ("fine",)}, "fine"),
        ({"min_score": 1.5}, "1.5"),
        ({"min_score": -0.1}, "-0.1"),
        ({"min_score": math.nan}, "nan"),
        ({"temperature": 0.0}, "above 0"),
        ({"temperature": math.nan}, "above 0"),
    ],
)
def test_impossible_rule_is_refused(fields: dict[str, object], word: str) -> None:
    given = {"labels": ("ok", "ng"), "ok_labels": ("ok",), **fields}
    if fields.get("labels") == ():
        given["ok_labels"] = ()
    with pytest.raises(ModelError, match=word):
        DecisionRule(**given)  # type: ignore[arg-type]
