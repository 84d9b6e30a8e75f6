"""A receiver that stays away for days, by a clock that passes on paper: how often it is tried, and what it gets at last."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from edgetl.errors import AccessError, OutputError
from edgetl.runtime.outputs.delivery import Delivered
from edgetl.runtime.outputs.forwarder import Forwarder
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.rows import Row
from edgetl.runtime.spool.spool import Spool
from tests.runtime.spool.reading import fill, gaps, numbers, unaccounted
from tests.runtime.waiting import until

HOUR_S = 3600.0


class PaperClock:
    """Passes when somebody rests, by as long as was asked, or by `stride_s` where that is more."""

    def __init__(self, stride_s: float = 0.0, at_each: Callable[[float], None] = lambda _: None) -> None:
        self.now = 0.0
        self._stride_s = stride_s
        self._at_each = at_each

    def __call__(self) -> float:
        return self.now

    def rest(self, stop: threading.Event, seconds: float) -> None:
        self.now += max(seconds, self._stride_s)
        self._at_each(self.now)


class Away:
    """A receiver that refuses with `error` until it is back, and then takes everything."""

    batch = 100

    def __init__(self, clock: PaperClock, error: OutputError, back_s: float) -> None:
        self._clock = clock
        self._error = error
        self._back_s = back_s
        self.tries: list[float] = []
        self.got: list[dict[str, object]] = []

    def open(self) -> None:
        if self._clock() < self._back_s:
            self.tries.append(self._clock())
            raise self._error

    def deliver(self, rows: Sequence[Row]) -> Delivered:
        self.got += [json.loads(row.payload) for row in rows]
        return Delivered(len(rows))

    def close(self) -> None:
        pass

    leave = close


def pauses(tries: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(tries)]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(SpoolConfig(folder=str(tmp_path / "spool"), max_bytes=128 * 1024), "press-3", ("plant",))


def tried(spool: Spool, error: OutputError, hours: float, seed: int = 0) -> Away:
    """How a receiver that refuses so is tried for some hours."""
    clock = PaperClock()
    away = Away(clock, error, hours * HOUR_S)
    forwarder = Forwarder("plant", away, spool, random.Random(seed).random, clock, clock.rest)
    forwarder.start()
    until(lambda: forwarder.health().ok)
    forwarder.finish(0.0)
    spool.wake()
    forwarder.join(20)
    spool.close()
    return away


@pytest.mark.fault("N5")
def test_refused_access_is_tried_at_most_once_a_minute(spool: Spool) -> None:
    away = tried(spool, AccessError("not authorized"), 2)
    assert min(pauses(away.tries)) >= 60.0 and max(pauses(away.tries)) <= 121.0
    assert 55 <= len(away.tries) <= 120, "it is not forgotten either"


@pytest.mark.fault("N7")
def test_receiver_that_hangs_up_is_tried_ever_less_often_and_never_in_step(spool: Spool) -> None:
    """Once the pauses have grown a try comes every 30 to 60 seconds: whatever one costs, it is little load."""
    away = tried(spool, OutputError("closed the connection"), 2)
    found = pauses(away.tries)
    for number, pause in enumerate(found[:7]):
        assert 0.25 * 2**number <= pause <= 0.5 * 2**number + 1.0
    assert all(30.0 <= pause <= 61.0 for pause in found[7:])
    assert len({round(pause, 3) for pause in found[7:]}) > 0.9 * len(found[7:]), (
        "drawn, so that a hundred devices differ"
    )
    assert 120 <= len(away.tries) <= 250


@pytest.mark.fault("N1")
def test_after_three_days_away_the_newest_and_the_bad_parts_are_there_and_gaps_tell_of_the_rest(spool: Spool) -> None:
    given: list[int] = []
    bad: list[int] = []

    def line_goes_on(now_s: float) -> None:
        """A part in every stride of the clock, one in fifty of them bad."""
        kind = "NG" if len(given) % 50 == 0 else "OK"
        (number,) = fill(spool, 1, kind)
        given.append(number)
        bad.extend([number] if kind == "NG" else [])
        if len(given) % 200 == 0 or now_s >= 72 * HOUR_S:  # what is dropped on its way out would count as lost
            assert spool.flush(20)

    clock = PaperClock(20.0, line_goes_on)
    away = Away(clock, OutputError("no connection"), 72 * HOUR_S)
    forwarder = Forwarder("plant", away, spool, random.Random(1).random, clock, clock.rest)
    forwarder.start()
    until(lambda: forwarder.health().ok and forwarder.health().waiting == 0 and len(away.got) > 0)
    assert clock.now >= 72 * HOUR_S and len(given) > 12_000
    assert spool.flush(20)
    until(lambda: unaccounted(given, away.got) == set())
    forwarder.finish(0.0)
    spool.wake()
    forwarder.join(20)
    spool.close()
    assert set(bad) <= set(numbers(away.got)), "bad parts are the last to go"
    good = [n for n in numbers(away.got) if n not in bad]
    assert good == [n for n in given if n not in bad][-len(good) :], "of the good ones the newest are kept"
    assert sum(int(str(gap["lost"])) for gap in gaps(away.got)) == len(given) - len(numbers(away.got)) > 5_000
    assert sum(len(json.dumps(message)) for message in away.got) < 128 * 1024
    assert len(away.tries) < 72 * 120 + 10
