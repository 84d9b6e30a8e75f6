"""What has to go, and what is said about it: values in, values out."""

from __future__ import annotations

from edgetl.runtime.spool.held import Held
from edgetl.runtime.spool.losses import Losses, loss_of_rows
from edgetl.runtime.spool.memory import Memory
from edgetl.runtime.spool.retention import Candidate, Loss, choose, excess, in_order, lagging, settled, union
from edgetl.runtime.spool.rows import Gap, Row, gap_row


def row(position: int, kind: str = "OK", size: int = 36) -> Row:
    return Row(position, position, kind, b"x" * size)  # 100 bytes with its overhead


def test_nothing_goes_while_there_is_room_and_a_tenth_more_than_needed_when_there_is_none() -> None:
    assert excess(900, 100, 1000) == 0
    assert excess(1000, 1, 1000) == 101


def test_oldest_good_parts_go_first_then_others_and_gaps_last() -> None:
    kinds = ["GAP", "NG", "OK", "UNKNOWN", "OK", "FAULT"]
    candidates = [Candidate(n, n, kind, 100) for n, kind in enumerate(kinds)]
    assert [c.position for c in choose(in_order(candidates), 10_000)] == [2, 4, 1, 3, 5, 0]
    assert [c.position for c in choose(in_order(candidates), 101)] == [2, 4]
    assert choose(in_order(candidates), 0) == []


def test_losses_join_to_one_range_and_an_unknown_number_stays_unknown() -> None:
    assert union([Loss(5, 9, 3), Loss(2, 2, 1)]) == Loss(2, 9, 4)
    assert union([Loss(5, 9, None), Loss(2, 2, 1)]) == Loss(2, 9, None)
    assert union([]) is None


def test_a_dropped_gap_hands_on_what_it_spoke_of() -> None:
    gap = gap_row(7, Gap(device="d", sequence=40, gap="full", first=10, last=30, lost=15))
    assert loss_of_rows([gap, row(35)]) == Loss(10, 35, 16)


def test_losses_are_told_by_reason_and_once() -> None:
    losses = Losses()
    losses.add("full", Loss(1, 2, 2))
    losses.add("full", Loss(5, 5, 1))
    losses.add("refused", Loss(3, 3, 1), ("plant",))
    losses.add("full", None)
    assert losses.take() == [("full", (), Loss(1, 5, 3)), ("refused", ("plant",), Loss(3, 3, 1))]
    assert not losses and losses.take() == []


def test_memory_keeps_its_bound_and_the_bad_parts() -> None:
    memory = Memory(1000)
    dropped = [gone for n in range(30) for gone in memory.add(row(n, "NG" if n % 5 == 0 else "OK"))]
    kept = memory.rows()
    assert sum(r.size for r in kept) <= 1000
    assert {r.kind for r in dropped} == {"OK"}
    assert [r.position for r in kept if r.kind == "NG"] == [0, 5, 10, 15, 20, 25]
    assert sorted(r.position for r in kept + dropped) == list(range(30))


def test_rows_may_be_forgotten_once_the_slowest_output_has_them() -> None:
    assert settled({"a": 10, "b": 4}) == 4
    assert settled({}) == 0
    assert lagging({"a": 10, "b": 4, "c": 9}, 9) == ("b",)


def test_what_is_being_stored_is_not_dropped_meanwhile() -> None:
    """Else a slow commit would end after a gap had called its rows lost."""
    held = Held("press-3", ("plant",), 1000, iter(range(1000, 2000)).__next__)
    for n in range(8):
        held.append(n, "OK", b"x" * 36)
    storing = held.snapshot()
    for n in range(8, 40):
        held.append(n, "OK", b"x" * 36)
    held.stored(storing, last_position=storing.rows[-1].position)
    assert held.dropped > 0
    ((_, outputs, loss),) = held.losses.take()
    assert loss.first >= 8 and outputs == ("plant",)


def test_what_every_output_has_is_not_called_lost_later() -> None:
    held = Held("press-3", ("plant",), 1000, iter(range(1000, 2000)).__next__)
    for n in range(8):
        held.append(n, "OK", b"x" * 36)
    assert held.acknowledge("plant", 0, held.rows()[-1].position)
    for n in range(8, 16):
        held.append(n, "OK", b"x" * 36)
    assert held.dropped == 0 and [row.sequence for row in held.rows()] == list(range(8, 16))
