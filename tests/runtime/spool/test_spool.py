"""Nothing is lost, and nothing comes twice to a receiver that knows (device, sequence)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.spool import Spool
from tests.runtime.spool.reading import drain, fill, gaps, numbers, unaccounted

Open = Callable[..., Spool]


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Open]:
    opened: list[Spool] = []

    def open_(outputs: tuple[str, ...] = ("plant",), **settings: object) -> Spool:
        spool = Spool(SpoolConfig(folder=str(tmp_path / "spool"), **settings), "press-3", outputs)  # type: ignore[arg-type]
        opened.append(spool)
        return spool

    yield open_
    for spool in opened:
        spool.close()


def test_results_wait_through_a_restart_and_numbers_go_on(open_spool: Open) -> None:
    spool = open_spool()
    given = fill(spool, 50)
    spool.close()
    spool = open_spool()
    given += fill(spool, 50)
    assert spool.flush(20)
    got = drain(spool, "plant")
    assert numbers(got) == given == list(range(1, 101))
    assert gaps(got) == []


def test_each_output_goes_at_its_own_pace_and_rows_go_when_all_have_them(open_spool: Open) -> None:
    spool = open_spool(("fast", "slow"))
    given = fill(spool, 30)
    assert spool.flush(20)
    assert numbers(drain(spool, "fast")) == given
    assert (spool.waiting("fast"), spool.waiting("slow")) == (0, 30)
    spool.close()
    spool = open_spool(("fast", "slow"))
    assert drain(spool, "fast") == []
    assert numbers(drain(spool, "slow")) == given


def test_an_output_that_is_no_longer_configured_holds_nothing_back(open_spool: Open) -> None:
    spool = open_spool(("old", "new"))
    fill(spool, 10)
    drain_after_flush(spool, "new")
    spool.close()
    spool = open_spool(("new",))
    fill(spool, 1)
    drain_after_flush(spool, "new")
    spool.close()
    assert open_spool(("new",)).waiting("new") == 0


def drain_after_flush(spool: Spool, output: str) -> None:
    assert spool.flush(20)
    drain(spool, output)


def test_what_was_sent_but_not_acknowledged_comes_again(open_spool: Open) -> None:
    spool = open_spool()
    given = fill(spool, 10)
    assert spool.flush(20)
    first = spool.batch("plant", 10)
    spool.acknowledge("plant", first.after, first.rows[3].position)
    spool.close()
    assert numbers(drain(open_spool(), "plant")) == given[4:]


def test_an_acknowledgement_of_another_place_is_ignored(open_spool: Open) -> None:
    spool = open_spool()
    given = fill(spool, 10)
    assert spool.flush(20)
    batch = spool.batch("plant", 10)
    spool.acknowledge("plant", batch.after + 3, batch.through)
    assert numbers(drain(spool, "plant")) == given


@pytest.mark.fault("N1")
def test_a_receiver_that_stays_away_loses_the_oldest_good_parts_and_is_told(open_spool: Open) -> None:
    spool = open_spool(max_bytes=64 * 1024)
    given, bad = [], []
    for _ in range(40):
        given += fill(spool, 95)
        bad += fill(spool, 2, "NG") + fill(spool, 1, "UNKNOWN")
        assert spool.flush(20)
    got = drain(spool, "plant")
    assert sum(len(json.dumps(m)) for m in got) < 64 * 1024
    assert set(bad) <= set(numbers(got))
    good = [n for n in numbers(got) if n not in bad]
    assert good == given[-len(good) :], "of the good parts the newest are kept"
    assert sum(g["lost"] for g in gaps(got)) == len(given) - len(good)
    assert {g["gap"] for g in gaps(got)} == {"more waited than the spool may hold"}
    assert all(g["device"] == "press-3" and g["outputs"] == ["plant"] for g in gaps(got))
    assert unaccounted(given + bad, got) == set()


def test_when_only_bad_parts_are_left_the_oldest_of_those_go(open_spool: Open) -> None:
    spool = open_spool(max_bytes=16 * 1024)
    given = []
    for _ in range(10):
        given += fill(spool, 50, "NG")
        assert spool.flush(20)
    got = drain(spool, "plant")
    assert numbers(got) == given[-len(numbers(got)) :]
    assert sum(g["lost"] for g in gaps(got)) == len(given) - len(numbers(got))
    assert unaccounted(given, got) == set()


def test_a_row_that_an_output_refuses_becomes_a_gap_for_it(open_spool: Open) -> None:
    spool = open_spool()
    given = fill(spool, 3)
    assert spool.flush(20)
    batch = spool.batch("plant", 3)
    spool.refuse("plant", batch.rows[1], "the receiver refused it")
    spool.acknowledge("plant", batch.after, batch.through)
    assert spool.flush(20)
    (gap,) = drain(spool, "plant")
    assert (gap["gap"], gap["first"], gap["last"], gap["lost"]) == ("the receiver refused it", given[1], given[1], 1)


def test_a_waiting_output_is_woken_by_a_result(open_spool: Open) -> None:
    spool = open_spool()
    empty = spool.batch("plant", 10)
    threading.Timer(0.05, fill, (spool, 1)).start()
    spool.wait(empty, timeout_s=60)
    assert len(spool.batch("plant", 10).rows) == 1


@pytest.mark.fault("D9")
def test_no_clock_decides_what_is_kept(open_spool: Open) -> None:
    """Results stamped ten years ago and in ten years wait side by side, and go by their bytes."""
    spool = open_spool(max_bytes=16 * 1024)
    stamps = ["2036-01-01", "2016-01-01", "1970-01-01"]
    sent = []
    for n in range(90):
        number = spool.next_sequence()
        spool.append(number, "OK", json.dumps({"sequence": number, "time": stamps[n % 3]}).encode())
        sent.append((number, stamps[n % 3]))
    assert spool.flush(20)
    assert [(m["sequence"], m["time"]) for m in drain(spool, "plant")] == sent
    fill(spool, 500)
    assert spool.flush(20)
    got = drain(spool, "plant")
    assert numbers(got) == list(range(numbers(got)[0], numbers(got)[0] + len(numbers(got))))
    assert unaccounted(list(range(91, 591)), got) == set()
