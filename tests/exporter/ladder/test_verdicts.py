"""Verdicts that change while labels stay: always told, and refused where somebody set limits."""

from __future__ import annotations

from edgetl.exporter.ladder.gate import Limits, Outcome, pass_or_refuse
from edgetl.exporter.ladder.verdicts import with_verdicts
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.decision import Limits as Chances

TRUTH = {f"{i:03d}": "good" if i % 2 else "bad" for i in range(100)}
BEFORE = {path: "OK" if label == "good" else "NG" for path, label in TRUTH.items()}
PLAIN = DecisionRule(("bad", "good"), ("good",))
SET = DecisionRule(("bad", "good"), ("good",), limits=Chances(0.1, 0.6))


DEFAULT = Limits()


def outcome(after: dict[str, str], rule: DecisionRule, limits: Limits = DEFAULT) -> Outcome:
    same = pass_or_refuse("int8", TRUTH, TRUTH, TRUTH, limits)
    return with_verdicts(same, BEFORE, BEFORE | after, rule, limits)


def test_verdicts_that_turn_unknown_are_counted_with_their_interval_and_named() -> None:
    found = outcome({"001": "UNKNOWN", "002": "UNKNOWN", "003": "NG"}, PLAIN).verdicts
    assert found is not None and (found.flips, found.to_or_from_unknown, found.gated) == (3, 2, False)
    assert found.flips_percent == 3.0 and found.flips_low < 3.0 < found.flips_high < 10.0
    assert found.changed == ("001: OK became UNKNOWN", "002: NG became UNKNOWN", "003: OK became NG")


def test_with_limits_of_the_rule_they_are_gated_and_without_only_told() -> None:
    three = dict.fromkeys(("001", "002", "003"), "UNKNOWN")
    assert outcome(three, PLAIN).passed
    assert outcome(three, SET).reasons == ("changes 3.00 % of the verdicts, more than --max-flips 2",)
    assert outcome({"001": "UNKNOWN", "002": "UNKNOWN"}, SET).passed, "at the limit"
    assert outcome({}, SET).passed


def test_one_picture_is_allowed_where_the_limit_is_finer() -> None:
    fine = Limits(max_flips=0.1)
    assert outcome({"001": "UNKNOWN"}, SET, fine).passed
    assert not outcome({"001": "UNKNOWN", "002": "UNKNOWN"}, SET, fine).passed
    assert not outcome({"001": "UNKNOWN"}, SET, Limits(max_flips=0.0)).passed
