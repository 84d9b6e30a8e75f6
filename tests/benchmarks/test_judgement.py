"""When a figure may be quoted."""

from __future__ import annotations

import msgspec
import pytest

from edgetl.benchmarks.accuracy import Accuracy
from edgetl.benchmarks.judgement import Conditions, judged

SAME = Accuracy(golden_pictures=12, golden_flips=0, pictures=300, balanced_accuracy=0.92, float_balanced_accuracy=0.92)
SPEED = "PASS (speed only)"
QUIET = Conditions(steady=True, slowed="", accuracy=SAME, p90_ms=10.0)
WORSE = Accuracy(golden_pictures=12, golden_flips=0, pictures=300, balanced_accuracy=0.90, float_balanced_accuracy=0.92)


@pytest.mark.parametrize(
    ("changes", "result", "word"),
    [
        ({}, "PASS", ""),
        ({"slowed": "throttled"}, "INVALID", "throttled"),
        ({"steady": False}, "INVALID", "settle"),
        ({"drift": 1.2}, "INVALID", "1.20 times"),
        ({"drift": 1.02}, "PASS", ""),
        ({"accuracy": Accuracy(golden_pictures=12, golden_flips=1)}, "FAIL", "1 of 12 golden"),
        ({"accuracy": WORSE}, "FAIL", "2.0 points"),
        ({"accuracy": msgspec.structs.replace(WORSE, balanced_accuracy=0.915)}, "PASS", ""),
        ({"budget_ms": 9.0}, "FAIL", "budget of 9 ms"),
        ({"budget_ms": 10.5}, "PASS", ""),
        ({"accuracy": Accuracy(golden_pictures=12, golden_flips=0)}, SPEED, "not measured"),
        ({"accuracy": msgspec.structs.replace(SAME, float_balanced_accuracy=None)}, SPEED, "no float file"),
        ({"accuracy": Accuracy(golden_pictures=12, golden_flips=0), "budget_ms": 9.0}, "FAIL", "budget"),
        ({"slowed": "under-voltage", "accuracy": WORSE}, "INVALID", "under-voltage"),  # the worse one is told first
    ],
)
def test_what_may_be_said_of_a_benchmark(changes: dict[str, object], result: str, word: str) -> None:
    found = judged(msgspec.structs.replace(QUIET, **changes))
    assert found.result == result
    assert word in "; ".join(found.reasons)
    assert bool(found.reasons) == (result != "PASS")
    assert found.passed == (result in ("PASS", SPEED))
