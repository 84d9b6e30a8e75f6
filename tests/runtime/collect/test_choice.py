"""What is worth keeping, and what goes when the quota is full."""

from __future__ import annotations

import pytest

from edgetl.runtime.collect.choice import Allowance, Kept, rank_of, reasons_of, victims
from edgetl.runtime.collect.record import CollectSettings, Reason
from edgetl.runtime.verdict import VerdictKind

SETTINGS = CollectSettings(folder="x", random_share=0.1, unsure_below=0.8)


@pytest.mark.parametrize(
    ("verdict", "score", "drifted", "draw", "expected"),
    [
        ("OK", 0.99, False, 0.5, ()),
        ("OK", 0.99, False, 0.05, ("random",)),
        ("OK", 0.7, False, 0.5, ("unsure",)),
        ("OK", 0.99, True, 0.5, ("drift",)),
        ("NG", 0.99, False, 0.5, ("reject",)),
        ("NG", 0.6, True, 0.05, ("reject", "drift", "unsure", "random")),
        ("UNKNOWN", 0.99, False, 0.5, ("unsure",)),
        ("UNKNOWN", None, False, 0.5, ("unsure",)),
        ("FAULT", None, True, 0.0, ()),
    ],
)
def test_reasons(
    verdict: VerdictKind, score: float | None, drifted: bool, draw: float, expected: tuple[Reason, ...]
) -> None:
    assert reasons_of(verdict, score, drifted, draw, SETTINGS) == expected


def test_a_minute_has_an_end_and_fills_up_again() -> None:
    allowance = Allowance(3)
    taken = [allowance.take(("reject", "random"), 0.0) for _ in range(5)]
    assert taken == [("reject", "random")] * 3 + [()] * 2
    assert allowance.take(("drift",), 0.0) == ("drift",), "each reason has a minute of its own"
    assert allowance.take(("reject",), 19.0) == () and allowance.take(("reject",), 21.0) == ("reject",)
    assert len([1 for _ in range(9) if allowance.take(("reject",), 1000.0)]) == 3, "an hour is not saved up"


def kept(name: str, rank: int, order: int, size: int = 10) -> Kept:
    return Kept(name, size, rank, order)


def test_the_lowest_rank_goes_first_and_in_it_the_oldest() -> None:
    full = [kept("reject", 3, 1), kept("old", 0, 2), kept("new", 0, 3), kept("unsure", 1, 0)]
    gone = victims(full, kept("n", 3, 9, size=25), 40)
    assert gone is not None and [k.name for k in gone] == ["old", "new", "unsure"]


def test_a_random_frame_never_drives_out_a_reject() -> None:
    full = [kept("a", 3, 1), kept("b", 3, 2)]
    assert victims(full, kept("n", 0, 3), 20) is None
    newest = victims(full, kept("n", 3, 3), 20)
    assert newest is not None and [k.name for k in newest] == ["a"]


def test_nothing_goes_while_there_is_room_and_a_giant_is_refused() -> None:
    assert victims([kept("a", 0, 1)], kept("n", 0, 2), 20) == []
    assert victims([kept("a", 0, 1)], kept("n", 3, 2, size=21), 20) is None


def test_the_best_reason_counts() -> None:
    assert (
        rank_of(("random", "reject")) == rank_of(("reject",)) > rank_of(("drift",)) > rank_of(("unsure",)) > rank_of(())
    )
