"""Limits keep what was asked, and rates say how little a small count proves."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.runtime.decision import DecisionRule, Limits, bad_chances, decide_chances, probabilities
from edgetl.trainer.deciding.limits import (
    Costs,
    achieved,
    bad_parts_needed,
    limits_for_costs,
    limits_for_escapes,
    upper_limit,
)


@pytest.mark.parametrize("max_escape", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_no_more_bad_parts_pass_than_allowed(seed: int, max_escape: float) -> None:
    random = np.random.default_rng(seed)
    bad = random.random(400) < 0.4
    chances = np.clip(np.where(bad, random.beta(5, 2, 400), random.beta(2, 5, 400)), 0, 1)
    limits = limits_for_escapes(chances, bad, max_escape)
    found = achieved(chances, bad, limits)
    assert found.escapes.count <= max_escape * bad.sum()
    lower = limits_for_escapes(chances, bad, max_escape / 10)
    assert lower.ok_below <= limits.ok_below  # a stricter wish never passes more
    assert np.mean(chances[~bad] <= limits.ok_below) > 0


def test_limit_lies_between_the_first_bad_part_and_the_part_below_it() -> None:
    chances, bad = np.array([0.01, 0.02, 0.2, 0.9]), np.array([False, False, True, True])
    limits = limits_for_escapes(chances, bad, 0.001)
    assert 0.02 < limits.ok_below < 0.2
    assert achieved(chances, bad, limits).unknown.count == 1


@pytest.mark.parametrize("look", [None, 0.5, 3.0])
def test_costs_give_the_verdict_that_is_cheapest_at_every_chance(look: float | None) -> None:
    costs = Costs(escape=20.0, false_alarm=4.0, look=look)
    limits = limits_for_costs(costs)
    rule = DecisionRule(("good", "bad"), ("good",), min_score=0.0, limits=limits)
    for p in np.linspace(0.001, 0.999, 333):
        price = {"OK": p * costs.escape, "NG": (1 - p) * costs.false_alarm}
        if look is not None:
            price["UNKNOWN"] = look
        verdict = decide_chances(np.array([1 - p, p]), rule).verdict
        assert price[verdict] <= min(price.values()) + 1e-9


@pytest.mark.parametrize(("count", "of", "limit"), [(0, 299, 0.01), (0, 3, 0.6316), (1, 100, 0.0466), (5, 50, 0.1988)])
def test_upper_limit_is_clopper_and_pearson_s(count: int, of: int, limit: float) -> None:
    """Tabled values of the one-sided 95 % limit."""
    assert upper_limit(count, of) == pytest.approx(limit, abs=2e-4)


def test_no_parts_prove_nothing_and_enough_parts_prove_the_claim() -> None:
    assert upper_limit(0, 0) == upper_limit(4, 4) == 1.0
    for claim in (0.1, 0.01, 0.001):
        needed = bad_parts_needed(claim)
        assert upper_limit(0, needed) <= claim < upper_limit(0, needed - 1)
        for escapes in (1, 4):
            more = bad_parts_needed(claim, escapes)
            assert upper_limit(escapes, more) <= claim < upper_limit(escapes, more - 1)


RULE = DecisionRule(("dent", "good", "fine", "scratch"), ("good", "fine"), limits=Limits(0.1, 0.6))


@pytest.mark.parametrize(
    ("chances", "verdict", "label"),
    [
        ([0.02, 0.5, 0.45, 0.03], "OK", "good"),
        ([0.35, 0.36, 0.02, 0.27], "NG", "dent"),  # no bad label is the likeliest, together they are
        ([0.1, 0.7, 0.1, 0.1], "UNKNOWN", "good"),
        ([0.4, 0.5, 0.0, 0.1], "UNKNOWN", "good"),
        ([0.6, 0.4, 0.0, 0.0], "NG", "dent"),
    ],
)
def test_verdict_follows_the_chance_of_being_bad(chances: list[float], verdict: str, label: str) -> None:
    decision = decide_chances(np.array(chances), RULE)
    assert (decision.verdict, decision.label) == (verdict, label)


def test_chance_of_being_bad_is_summed_over_the_labels_that_are_not_good() -> None:
    chances = probabilities(np.array([[1, 2, 0, 1], [0, 0, 0, 0]], np.float32))
    assert bad_chances(chances, RULE) == pytest.approx([chances[0, 0] + chances[0, 3], 0.5])
