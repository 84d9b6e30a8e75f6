"""The gate on decisions: values in, values out."""

from __future__ import annotations

import itertools

import pytest

from edgetl.errors import UsageError
from edgetl.exporter.ladder.gate import Limits, Outcome, bearable, paired, pass_or_refuse

WIDE = Limits(max_drop=100, max_recall_loss=100, max_flips=100)


def outcome(right_before: tuple[int, int], right_after: tuple[int, int], limits: Limits, n: int = 100) -> Outcome:
    """Two classes of n pictures; so many of each are judged rightly, the first ones, and the others as the other class."""
    truth, before, after = {}, {}, {}
    for label, other, first, second in zip(("good", "bad"), ("bad", "good"), right_before, right_after, strict=True):
        for i in range(n):
            path = f"{label}/{i:03d}"
            truth[path] = label
            before[path] = label if i < first else other
            after[path] = label if i < second else other
    return pass_or_refuse("int8", truth, before, after, limits)


def test_figures_of_a_model_that_lost() -> None:
    found = outcome((100, 90), (97, 90), WIDE)
    assert (found.pictures, found.flips) == (200, 3)
    assert found.flips_percent == pytest.approx(1.5)
    assert found.flips_low < 1.5 < found.flips_high < 5
    assert found.drop == pytest.approx(1.5)
    good, bad = found.classes["good"], found.classes["bad"]
    assert (good.lost, good.gained, good.points, good.finest) == (3, 0, pytest.approx(3.0), 1.0)
    assert good.low < 3.0 < good.high
    assert (bad.lost, bad.gained, bad.points) == (0, 0, 0.0)
    assert bad.low < 0 < bad.high
    assert found.worst[0] == "good"
    assert found.changed == ("good/097: good became bad", "good/098: good became bad", "good/099: good became bad")
    assert found.passed


def test_gain_is_a_negative_loss_and_its_flips_still_count() -> None:
    found = outcome((90, 90), (95, 95), Limits())
    assert found.drop == pytest.approx(-5.0)
    assert found.flips == 10
    assert found.reasons == ("flips 5.00 % of the decisions, more than --max-flips 2",)


def test_flips_between_wrong_answers_cost_no_recall() -> None:
    truth = {str(i): "a" for i in range(100)} | {f"b{i}": "b" for i in range(100)}
    before = truth | {"0": "b", "1": "b"}
    after = truth | {"0": "c", "1": "c"}
    found = pass_or_refuse("int8", truth, before, after, Limits())
    assert (found.flips, found.drop, found.passed) == (2, 0.0, True)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_drop=0.9, max_recall_loss=100, max_flips=100), "1.00 points of balanced accuracy, more than --max-drop 0.9"),
        (Limits(max_drop=100, max_recall_loss=1.9, max_flips=100), "2.00 points of recall of class good (2 pictures), more than --max-recall-loss 1.9"),
        (Limits(max_drop=100, max_recall_loss=100, max_flips=0.9), "flips 1.00 % of the decisions, more than --max-flips 0.9"),
    ],
    ids=["drop", "recall", "flips"],
)  # fmt: skip
def test_each_limit_refuses_by_itself_and_a_loss_at_the_limit_passes(limits: Limits, words: str) -> None:
    (reason,) = outcome((100, 100), (98, 100), limits).reasons
    assert words in reason
    at = Limits(max_drop=1.0, max_recall_loss=2.0, max_flips=1.0)
    assert outcome((100, 100), (98, 100), at).passed


def test_one_picture_is_allowed_where_the_limit_is_finer_and_a_second_is_not() -> None:
    """A class of ten pictures: one of them is ten points of recall, five of balanced accuracy, 5 % of all decisions."""
    found = outcome((10, 10), (9, 10), Limits(), n=10)
    assert found.passed
    assert found.classes["good"].finest == 10.0
    assert not outcome((10, 10), (8, 10), Limits(), n=10).passed


def test_a_count_that_may_be_chance_is_not_held_against_what_is_expected_to_keep_its_labels() -> None:
    def judged(flips: int, expected: float | None, limits: Limits | None = None) -> Outcome:
        truth = {str(i): "a" for i in range(66)}
        after = truth | {str(i): "b" for i in range(flips)}
        wide = Limits(max_drop=100, max_recall_loss=100)
        return pass_or_refuse("int8", truth, truth, after, limits or wide, 1.0, expected)

    assert (judged(1, 0.05).passed, judged(1, 0.05).by_chance) == (True, False), "one picture is always allowed"
    assert (judged(2, 0.008).passed, judged(2, 0.008).by_chance) == (True, True)
    assert (judged(2, 0.024).passed, judged(2, None).passed) == (False, False), "more is expected, or nothing is known"
    assert not judged(4, 0.008).passed, "2.4 to 14.6 %: no chance"
    strict = Limits(max_drop=100, max_recall_loss=100, max_flips=0.0)
    assert not judged(2, 0.0, strict).passed, "none allowed is meant as it stands"


def test_the_more_pictures_the_less_is_left_to_chance() -> None:
    assert bearable(2, 66, 1.9, 2.0) and not bearable(30, 1000, 1.9, 2.0) and bearable(22, 1000, 1.9, 2.0)


@pytest.mark.parametrize("name", ["max_drop", "max_recall_loss", "max_flips"])
def test_limit_of_zero_allows_nothing(name: str) -> None:
    wide = {"max_drop": 100.0, "max_recall_loss": 100.0, "max_flips": 100.0}
    assert outcome((10, 10), (10, 10), Limits(**(wide | {name: 0.0})), n=10).passed
    assert not outcome((10, 10), (9, 10), Limits(**(wide | {name: 0.0})), n=10).passed


def test_below_zero_all_classes_together_have_to_gain_and_nothing_else_can_be_asked() -> None:
    assert not outcome((10, 10), (10, 10), Limits(max_drop=-1.0), n=10).passed
    for name in ("max_recall_loss", "max_flips", "max_gain_error"):
        with pytest.raises(UsageError, match="less than nothing"):
            Limits(**{name: -1.0})


def test_classes_weigh_the_same_whatever_their_size() -> None:
    truth = {str(i): "common" for i in range(190)} | {f"r{i}": "rare" for i in range(10)}
    after = truth | {f"r{i}": "common" for i in range(5)}
    assert pass_or_refuse("int8", truth, truth, after, WIDE).drop == pytest.approx(25.0)


def test_interval_of_a_paired_difference_covers_the_truth() -> None:
    """Exact coverage: every outcome of 40 pictures, weighted by its chance, for several true losses and gains."""
    for p_lost, p_gained in ((0.01, 0.01), (0.05, 0.02), (0.1, 0.0), (0.15, 0.1)):
        covered = 0.0
        for lost, gained in itertools.product(range(41), range(41)):
            if lost + gained <= 40:
                chance = multinomial(40, lost, gained, p_lost, p_gained)
                interval = paired(lost, gained, 40)
                covered += chance * (interval.low <= p_lost - p_gained <= interval.high)
        assert covered > 0.9


def multinomial(n: int, a: int, b: int, p: float, q: float) -> float:
    from math import comb

    return comb(n, a) * comb(n - a, b) * p**a * q**b * (1 - p - q) ** (n - a - b)


@pytest.mark.parametrize("name", ["max_drop", "max_recall_loss", "max_flips", "max_gain_error"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_no_limit(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} {value}"):
        Limits(**{name: float(value)})
