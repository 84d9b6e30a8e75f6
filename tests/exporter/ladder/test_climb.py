"""The climb, with rungs that only say what they were told to."""

from __future__ import annotations

import pytest

from edgetl.errors import ExportError, PrecisionError, UsageError
from edgetl.exporter.ladder.climb import Attempt, Climb, Tried, climb, refusal, short_of_int8
from edgetl.exporter.ladder.gate import Limits, pass_or_refuse
from edgetl.exporter.ladder.plot import draw
from edgetl.exporter.ladder.rungs import NAMES, RUNGS, Rung, rungs_of
from edgetl.exporter.quantization import Quantization

LACKED = "no operator for SQRT in int8"
TRUTH = {f"{label}/{i}": label for label in ("a", "b") for i in range(50)}


class Stair:
    """Rungs that flip as many decisions as they are told to, each taking a minute of a clock that only they move."""

    def __init__(self, **flips: int | str) -> None:
        self.flips = flips
        self.now = 0.0
        self.left: list[float] = []

    def clock(self) -> float:
        return self.now

    def attempt(self, rung: Rung, left_s: float) -> Tried[str]:
        self.now += 60
        self.left.append(left_s)
        flips = self.flips[rung.name]
        if isinstance(flips, str):
            raise (PrecisionError if flips == LACKED else ExportError)(flips)
        after = TRUTH | {f"a/{i}": "b" for i in range(flips)}
        outcome = pass_or_refuse("model/int8.tflite", TRUTH, TRUTH, after, Limits())
        return Tried(f"models of {rung.name}", (outcome,), {"model/int8.tflite": 100})

    def climb(self, budget_s: float = 1e9) -> tuple[Climb, str | None]:
        floats = Quantization(precision="float16")
        rungs = tuple(
            Rung(name=name, means=name, quantization=floats if name == "slow" else Quantization())
            for name in self.flips
        )
        told: list[Attempt] = []
        climbed, passed = climb(rungs, self.attempt, self.clock, budget_s, told.append)
        assert tuple(told) == climbed.attempts
        return climbed, passed.models if passed else None


def test_it_stops_at_the_first_rung_that_passes() -> None:
    climbed, models = Stair(first=9, second=5, third=0, fourth=0).climb()
    assert models == "models of third"
    assert (climbed.chosen, climbed.ended, climbed.seconds) == ("third", "passed", 180)
    assert [(a.rung, a.passed, a.seconds) for a in climbed.attempts] == [
        ("first", False, 60), ("second", False, 60), ("third", True, 60)]  # fmt: skip


def test_no_rung_passes_and_the_nearest_is_named() -> None:
    climbed, models = Stair(first=9, second=4, third=7).climb()
    assert models is None and climbed.ended == "no rung left"
    message = refusal(climbed)
    assert message.startswith("model/int8.tflite (rung second, the nearest of 3 tried) loses 4.00 points of balanced")
    assert "judged on 100 pictures; no bundle was written." in message
    assert message.endswith("first of 4: a/0: a became b; a/1: a became b; a/2: a became b")


def test_what_is_slower_than_int8_ships_with_the_reason() -> None:
    climbed, models = Stair(first=9, second=4, third=7, slow=0).climb()
    assert models == "models of slow"
    said = short_of_int8(climbed)
    assert said.startswith("what ships is float16 and slower than int8")
    assert "of 3 the nearest was second, where model/int8.tflite loses 4.00 points of balanced accuracy" in said
    for stair in (Stair(first=0), Stair(slow=0), Stair(first=9, slow=9), Stair(first=9, second=0)):
        assert short_of_int8(stair.climb()[0]) == ""


def test_operator_that_int8_lacks_ends_all_int8_rungs_and_no_other() -> None:
    climbed, models = Stair(first=LACKED, second=0, slow=0).climb()
    assert models == "models of slow" and [a.rung for a in climbed.attempts] == ["first", "slow"]
    assert climbed.attempts[0].error == LACKED
    said = short_of_int8(climbed)
    assert "which this net cannot have" in said and said.endswith(LACKED)


def test_operator_that_every_precision_lacks_is_the_nets_own() -> None:
    for stair in (Stair(first=LACKED), Stair(first=LACKED, slow=LACKED), Stair(first=LACKED, slow="crashed")):
        with pytest.raises(PrecisionError, match=LACKED):
            stair.climb()


def test_time_that_is_up_before_anything_was_measured_is_told_with_what_took_it() -> None:
    with pytest.raises(ExportError, match=f"{LACKED}; the time of --budget was up before rung slow"):
        Stair(first=LACKED, second=0, slow=0).climb(budget_s=30)


def test_no_rung_begins_after_the_budget_but_the_first_always_does() -> None:
    stair = Stair(first=9, second=9, third=0)
    climbed, models = stair.climb(budget_s=90)
    assert models is None and climbed.ended == "out of time"
    assert [a.rung for a in climbed.attempts] == ["first", "second"]
    assert stair.left == [90, 30]
    assert "the time of --budget was up" in refusal(climbed)
    assert Stair(first=0).climb(budget_s=0)[1] == "models of first"


def test_rung_that_cannot_be_made_is_told_and_passed_over_but_not_the_first() -> None:
    climbed, models = Stair(first=9, second="no int16 here", third=0).climb()
    assert models == "models of third"
    assert climbed.attempts[1].error == "no int16 here" and not climbed.attempts[1].passed
    with pytest.raises(ExportError, match="torch cannot"):
        Stair(first="torch cannot export this", second=0).climb()


def test_every_rung_has_its_own_name_and_fully_int8_ones_come_first() -> None:
    assert len(set(NAMES)) == len(NAMES)
    precisions = [rung.quantization.precision for rung in RUNGS]
    assert all((rung.kept > 0) == (rung.quantization.precision == "mixed") for rung in RUNGS)
    assert precisions == sorted(precisions, key=["int8", "mixed", "int16", "float16"].index)
    assert NAMES[:2] == ("equalized", "mse") and RUNGS[-1].name == "float16"
    assert rungs_of(None) == RUNGS
    assert [r.name for r in rungs_of(None, one_class=True)][:2] == ["roomy", "min-max"], "what cuts nothing off"
    assert [r.name for r in rungs_of("mse")] == ["mse"]
    with pytest.raises(UsageError, match=r"--rung int7: no such rung; choose from equalized, .*float16"):
        rungs_of("int7")


def test_plot_shows_every_rung() -> None:
    import cv2
    import numpy as np

    one, _ = Stair(first=9).climb()
    three, _ = Stair(first=9, second="not here", third=0).climb()
    sizes = [cv2.imdecode(np.frombuffer(draw(c, Limits()), np.uint8), 1).shape for c in (one, three)]
    assert sizes[1][1] > sizes[0][1] > 300
    assert draw(three, Limits()) == draw(three, Limits())
