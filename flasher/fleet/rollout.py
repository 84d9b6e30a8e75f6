"""A release on many devices: wave after wave, the devices of one wave side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from edgetl.errors import EdgetlError
from edgetl.flasher.fleet.waves import HostState, Plan, stop_reason, waves

SIDE_BY_SIDE = 10  # each is an ssh with a few MB to send


class Rollout(msgspec.Struct, frozen=True):
    """How it went with every device; `stopped` says why some were not tried."""

    results: list[HostState]
    stopped: str | None

    @property
    def failed(self) -> list[HostState]:
        """The devices that did not take the release."""
        return [result for result in self.results if result.state == "failed"]


def roll_out(hosts: Sequence[str], flash: Callable[[str], bool], plan: Plan, report: Callable[[str], None]) -> Rollout:
    """Flashes every device of a group; `flash` returns whether it changed one, or raises EdgetlError.

    Once too many failed, no further device is begun, in the middle of a wave too; those at hand are finished.
    """
    done: dict[str, HostState] = {}
    reason: str | None = None
    lock = threading.Lock()

    def one(host: str) -> None:
        nonlocal reason
        if reason is not None:
            return
        state = _state(host, flash)
        with lock:
            done[host] = state
            if state.state == "failed":
                reason = stop_reason([done[host] for host in hosts if host in done], len(hosts), plan)

    for number, wave in enumerate(waves(hosts, plan)):
        if reason is not None:
            break
        report(f"{'canary' if number == 0 and plan.canary else f'wave {number}'}: {', '.join(wave)}")
        with ThreadPoolExecutor(min(len(wave), SIDE_BY_SIDE)) as pool:
            list(pool.map(one, wave))
    results = [done.get(host, HostState(host, "not tried")) for host in hosts]
    return Rollout(results, reason if len(done) < len(hosts) else None)


def _state(host: str, flash: Callable[[str], bool]) -> HostState:
    try:
        return HostState(host, "flashed" if flash(host) else "unchanged")
    except EdgetlError as error:
        return HostState(host, "failed", f"{error.code}: {error}")
