"""Between two threads: a file's frames all arrive, a camera's newest ones do, and an error is not lost."""

from __future__ import annotations

import threading

import pytest

from edgetl.errors import SourceError
from edgetl.runtime.mailbox import Mailbox


def drained(box: Mailbox[int]) -> list[int]:
    items = []
    while (item := box.get()) is not None:
        items.append(item)
    return items


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_keep_all_loses_nothing_and_keeps_the_order(capacity: int) -> None:
    box: Mailbox[int] = Mailbox(capacity, keep_all=True)
    dropped: list[int | None] = []

    def produce() -> None:
        dropped.extend(box.put(number) for number in range(1, 1001))
        box.close()

    producer = threading.Thread(target=produce)
    producer.start()
    assert drained(box) == list(range(1, 1001))
    producer.join(10)
    assert set(dropped) == {None}


def test_keep_all_makes_the_producer_wait() -> None:
    box: Mailbox[int] = Mailbox(2, keep_all=True)
    third_is_in = threading.Event()

    def produce() -> None:
        for number in (1, 2, 3):
            box.put(number)
        third_is_in.set()

    threading.Thread(target=produce, daemon=True).start()
    assert not third_is_in.wait(0.1)
    assert box.get() == 1
    assert third_is_in.wait(10)


def test_newest_wins_and_what_had_to_go_is_handed_back() -> None:
    box: Mailbox[int] = Mailbox(3, keep_all=False)
    assert [box.put(number) for number in range(1, 7)] == [None, None, None, 1, 2, 3]
    box.close()
    assert drained(box) == [4, 5, 6]


def note_of_tens(item: int) -> int | None:
    return -item if item % 10 == 0 else None


def test_items_of_which_something_must_remain_go_last() -> None:
    box: Mailbox[int] = Mailbox(3, keep_all=False, remains=note_of_tens)
    assert [box.put(number) for number in (10, 1, 20, 2, 3)] == [None, None, None, 1, 2]
    box.close()
    assert drained(box) == [10, 20, 3]


def test_what_remains_keeps_its_place_and_takes_no_room() -> None:
    box: Mailbox[int] = Mailbox(2, keep_all=False, remains=note_of_tens)
    assert [box.put(number) for number in (10, 20, 30, 40, 1, 50)] == [None, None, 10, 20, 30, 1]
    box.close()
    assert drained(box) == [-10, -20, -30, 40, 50]


def test_error_comes_after_the_items_before_it() -> None:
    box: Mailbox[int] = Mailbox(4, keep_all=True)
    box.put(1)
    box.put(2)
    box.close(SourceError("the cable"))
    assert (box.get(), box.get()) == (1, 2)
    with pytest.raises(SourceError, match="the cable"):
        box.get()


def test_first_error_is_the_one_that_counts() -> None:
    box: Mailbox[int] = Mailbox(1, keep_all=True)
    box.close()
    box.close(SourceError("first"))
    box.close(SourceError("second"))
    with pytest.raises(SourceError, match="first"):
        box.get()


@pytest.mark.parametrize("keep_all", [True, False])
def test_what_comes_after_the_end_is_handed_back(keep_all: bool) -> None:
    box: Mailbox[int] = Mailbox(1, keep_all=keep_all)
    box.close()
    assert box.put(5) == 5
    assert box.get() is None


def test_close_wakes_a_waiting_producer_and_a_waiting_consumer() -> None:
    full: Mailbox[int] = Mailbox(1, keep_all=True)
    full.put(1)
    empty: Mailbox[int] = Mailbox(1, keep_all=True)
    found: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(full.put(2)), daemon=True),
        threading.Thread(target=lambda: found.append(empty.get()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    full.close()
    empty.close()
    for thread in threads:
        thread.join(10)
    assert sorted(found, key=str) == [2, None]
