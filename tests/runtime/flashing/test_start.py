"""Which slot runs: a crash goes back once, never to and fro, and with both slots bad nothing is trusted."""

from __future__ import annotations

import itertools
import random

import pytest

from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot, Slot, other
from edgetl.runtime.flashing.records import Activating, Committed, Returning, Stopped
from edgetl.runtime.flashing.slots import Slots
from tests.runtime.flashing.world import StillClock, configure, install, start


def committed(root: DeviceRoot, clock: StillClock, slot: Slot = "a") -> Slots:
    """A device that runs `slot` for good, with an older release in the other one."""
    install(root, other(slot), clock, "older", 1)
    install(root, slot, clock, "old", 2)
    slots = Slots(root, clock)
    slots.activate(slot, 5.0)
    slots.commit(slot, "test")
    return slots


def on_trial(root: DeviceRoot, clock: StillClock) -> Slots:
    """A device whose slot a ran for good, and whose slot b is on trial."""
    slots = committed(root, clock, "a")
    install(root, "b", clock, "new", 3)
    slots.activate("b", 5.0)
    return slots


def test_empty_device_is_in_safe_mode_and_stays_flashable(root: DeviceRoot, clock: StillClock) -> None:
    assert start(root, clock) is None
    assert Journal(root.journal).history().halted == "no release has been flashed that could run"
    install(root, "a", clock)
    Slots(root, clock).activate("a", 5.0)
    assert start(root, clock, 2) == "a"


def test_committed_slot_runs_whatever_lies_in_the_other(root: DeviceRoot, clock: StillClock) -> None:
    committed(root, clock)
    root.bundle("b").write_bytes(b"rubbish")
    assert start(root, clock) == "a"


@pytest.mark.fault("F12")
def test_crash_during_the_trial_goes_back_at_the_next_start(root: DeviceRoot, clock: StillClock) -> None:
    slots = on_trial(root, clock)
    assert start(root, clock, 1) == "b"
    assert start(root, clock, 2) == "a"
    assert root.pointed() == "a"
    history = slots.journal.history()
    assert history.slots["b"].failed == "it crashed during its trial"
    assert history.trial is None
    assert start(root, clock, 3) == "a"


def test_power_cut_during_the_trial_goes_back_and_says_so(root: DeviceRoot, clock: StillClock) -> None:
    slots = on_trial(root, clock)
    assert start(root, clock, 1) == "b"
    clock.reboot()
    assert start(root, clock, 2) == "a"
    assert slots.journal.history().slots["b"].failed == "the device restarted during its trial"


def test_restart_on_purpose_does_not_count_against_a_trial(root: DeviceRoot, clock: StillClock) -> None:
    slots = on_trial(root, clock)
    assert start(root, clock, 1) == "b"
    slots.journal.append(Stopped(at=clock.now(), pid=1))
    assert start(root, clock, 2) == "b"


@pytest.mark.fault("F12")
def test_crash_loop_of_a_committed_release_goes_back_once_and_never_returns(
    root: DeviceRoot, clock: StillClock
) -> None:
    """Five minutes well between crashes: more than four within the half hour are too many."""
    configure(root, max_crashes=4, crash_window_s=1800)
    slots = committed(root, clock)
    ran = []
    for pid in range(1, 12):
        ran.append(start(root, clock, pid))
        clock.boot_s += 300
    assert ran[:5] == ["a"] * 5
    assert ran[5:10] == ["b"] * 5
    assert ran[10] is None, "both have crashed too often: safe mode, not back to the first"
    reasons = [e.reason for e in slots.journal.entries() if isinstance(e, Returning)]
    assert reasons == ["it crashed 5 times within 1800 s"]


def test_crashes_far_apart_do_not_add_up(root: DeviceRoot, clock: StillClock) -> None:
    configure(root, max_crashes=4, crash_window_s=1800)
    committed(root, clock)
    for pid in range(1, 30):
        assert start(root, clock, pid) == "a"
        clock.boot_s += 1000


def test_power_cuts_are_no_crashes(root: DeviceRoot, clock: StillClock) -> None:
    committed(root, clock)
    for pid in range(1, 20):
        assert start(root, clock, pid) == "a"
        clock.reboot()


@pytest.mark.fault("F13")
@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_bytes(b"x"), lambda p: p.write_bytes(b"")])
def test_both_slots_broken_is_safe_mode(root: DeviceRoot, clock: StillClock, harm: object) -> None:
    slots = committed(root, clock)
    harm(root.bundle("a"))  # type: ignore[operator]
    assert start(root, clock, 1) == "b"
    harm(root.bundle("b"))  # type: ignore[operator]
    assert start(root, clock, 2) is None
    assert start(root, clock, 3) is None
    halted = slots.journal.history().halted or ""
    assert (halted.count("slot b: "), halted.count("slot a: ")) == (1, 1), "it does not grow from start to start"


@pytest.mark.fault("F14")
def test_return_that_was_cut_short_is_finished(root: DeviceRoot, clock: StillClock) -> None:
    """Cut after the journal's word and before the link's swap."""
    slots = on_trial(root, clock)
    slots.journal.append(Returning(at=clock.now(), slot="a", left="b", reason="too slow", failed=True))
    assert root.pointed() == "b"
    assert start(root, clock) == "a"
    assert root.pointed() == "a"
    assert slots.journal.history().slots["b"].failed == "too slow"


def test_swap_that_was_cut_short_leaves_the_old_release(root: DeviceRoot, clock: StillClock) -> None:
    slots = committed(root, clock)
    install(root, "b", clock, "new", 3)
    slots.journal.append(Activating(at=clock.now(), slot="b", previous="a", trial_s=5.0))
    assert start(root, clock, 1) == "a"
    assert start(root, clock, 2) == "a", "the trial that never began is not counted against the old release"


def test_lost_link_is_mended_to_a_slot_that_was_committed(root: DeviceRoot, clock: StillClock) -> None:
    committed(root, clock, "b")
    root.current.unlink()
    root.bundle("a").unlink()
    assert start(root, clock) == "b"
    assert root.pointed() == "b"


@pytest.mark.fault("F15")
@pytest.mark.parametrize("seed", range(12))
def test_whatever_crashes_there_are_few_returns_and_then_rest(root: DeviceRoot, clock: StillClock, seed: int) -> None:
    """Random crashes, cuts and stops of two releases that may both be bad: at most two returns, then safe mode."""
    rng = random.Random(seed)
    slots = on_trial(root, clock)
    ran: list[Slot | None] = []
    for pid in range(1, 60):
        ran.append(start(root, clock, pid))
        clock.boot_s += rng.choice([1.0, 20.0])
        happened = rng.random()
        if happened < 0.1:
            clock.reboot()
        elif happened < 0.2:
            slots.journal.append(Stopped(at=clock.now(), pid=pid))
    returns = [e for e in slots.journal.entries() if isinstance(e, Returning)]
    assert len(returns) <= 2
    changes = sum(1 for before, after in itertools.pairwise(ran) if before != after)
    assert changes <= 2, ran
    assert ran[-1] is None, "both crash for ever, so it ends in safe mode"


def test_committing_counts_only_for_the_slot_that_is_on_trial(root: DeviceRoot, clock: StillClock) -> None:
    slots = on_trial(root, clock)
    assert not slots.commit("a", "not that one")
    assert slots.commit("b", "well")
    assert not slots.commit("b", "again")
    assert [e.slot for e in slots.journal.entries() if isinstance(e, Committed)] == ["a", "b"]
