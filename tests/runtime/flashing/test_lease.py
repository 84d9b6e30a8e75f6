"""One flash at a time, and none for ever."""

from __future__ import annotations

import pytest

from edgetl.errors import BusyError
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.lease import holding, read_lease
from tests.runtime.flashing.world import StillClock


@pytest.mark.fault("F16")
def test_second_workstation_is_told_who_holds_the_device(root: DeviceRoot, clock: StillClock) -> None:
    with holding(root, "100@desk", clock, 60):
        pass
    with pytest.raises(BusyError, match=r"busy by 100@desk since 2030-"), holding(root, "200@lab", clock, 60):
        pass
    with holding(root, "100@desk", clock, 60) as holder:
        holder.give_back()
    with holding(root, "200@lab", clock, 60):
        pass


@pytest.mark.fault("F16")
def test_two_commands_at_once_even_of_one_owner_are_kept_apart(root: DeviceRoot, clock: StillClock) -> None:
    with holding(root, "100@desk", clock, 60), pytest.raises(BusyError, match="busy by 100@desk"), holding(root, "100@desk", clock, 60):  # fmt: skip
        pass


@pytest.mark.fault("F16")
def test_lease_of_another_boot_is_void(root: DeviceRoot, clock: StillClock) -> None:
    with holding(root, "100@desk", clock, 60):
        pass
    clock.reboot()
    with holding(root, "200@lab", clock, 60):
        pass
    lease = read_lease(root)
    assert lease is not None and lease.owner == "200@lab"


def test_silence_ends_a_lease_and_work_renews_it(root: DeviceRoot, clock: StillClock) -> None:
    with holding(root, "100@desk", clock, 60):
        pass
    clock.boot_s += 50
    with holding(root, "100@desk", clock, 60):
        pass
    clock.boot_s += 50
    with pytest.raises(BusyError), holding(root, "200@lab", clock, 60):
        pass
    clock.boot_s += 11
    with holding(root, "200@lab", clock, 60):
        pass


def test_wall_clock_that_jumps_changes_nothing(root: DeviceRoot, clock: StillClock) -> None:
    with holding(root, "100@desk", clock, 60):
        pass
    clock.wall_s += 3e8
    with pytest.raises(BusyError), holding(root, "200@lab", clock, 60):
        pass


def test_caller_that_knows_the_owner_to_be_dead_takes_over(root: DeviceRoot, clock: StillClock) -> None:
    with holding(root, "100@desk", clock, 60):
        pass
    with pytest.raises(BusyError), holding(root, "200@desk", clock, 60, take_over="101@desk"):
        pass
    with holding(root, "200@desk", clock, 60, take_over="100@desk"):
        pass


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"{", b'{"owner": 3}'])
def test_damaged_record_holds_nothing(root: DeviceRoot, clock: StillClock, content: bytes) -> None:
    root.lease.write_bytes(content)
    with holding(root, "200@lab", clock, 60):
        pass
