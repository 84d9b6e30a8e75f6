"""`edgetl run --slot`: the line runs what its device's slots say, and starts anew when they say otherwise."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.errors import UsageError
from edgetl.runtime.service.notify import Notifier

if TYPE_CHECKING:
    from edgetl.runtime.bundle import Bundle
    from edgetl.runtime.flashing.service import Inspecting, SlotService


_log = logging.getLogger("edgetl.slot")


class Tie:
    """What a run is told of slots. Without `--slot` it says nothing."""

    def __init__(self, service: SlotService | None = None) -> None:
        self._service = service

    @property
    def safe_mode(self) -> str | None:
        """Why there is no model to run, if so."""
        return self._service.reason if self._service is not None and self._service.slot is None else None

    def announce(self) -> None:
        """Logs why another slot runs than the newest one, or none, and a start that could not be noted; called once
        logging has begun."""
        if self._service is None:
            return
        if self._service.reason:
            _warn("safe mode" if self._service.slot is None else "went back", self._service.reason)
        if self._service.unnoted:
            _warn("start not noted", self._service.unnoted)

    def opened(self, bundle: Path | None) -> AbstractContextManager[Bundle | None]:
        """The bundle to run, open: of the slot, or else the one that was named; none in safe mode. Raises BundleError."""
        if self._service is not None:
            return self._service.bundle() if self._service.slot is not None else nullcontext()
        from edgetl.runtime.bundle import open_bundle

        return open_bundle(bundle) if bundle is not None else nullcontext()

    def watch(self, line: Inspecting) -> None:
        """Called with the line before it runs."""
        if self._service is not None:
            self._service.watch(line)


def _warn(what: str, reason: str) -> None:
    _log.warning("%s: %s", what, reason, extra={"fields": {"event": what.replace(" ", "-"), "reason": reason}})


def in_slot(function: Callable[..., bool]) -> Callable[..., None]:
    """Adds `--slot` to `edgetl run` and gives it its bundle (None in safe mode) and its `tie`. When it returns True,
    or the slot was swapped, the program is started anew in its own place."""

    @functools.wraps(function)
    def command(slot: Path | None, bundle: Path | None, **arguments: Any) -> None:
        next_start_s = 0.0
        if (slot is None) == (bundle is None):
            raise UsageError("name a BUNDLE to run, or with --slot the folder of a device whose current slot runs")
        if slot is None or arguments.get("check"):
            again = function(bundle=bundle, tie=Tie(), **arguments)
        else:
            again, next_start_s = _served(slot, function, arguments)
        if again:
            Notifier().starting_anew(next_start_s)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # stays so until the new start listens to it
            sys.stdout.flush()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

    option = click.option(
        "--slot",
        type=click.Path(path_type=Path),
        default=None,
        metavar="DIR",
        help="Run the current slot of this device folder (/var/lib/edgetl), and follow it.",
    )
    return option(command)


def _served(slot: Path, function: Callable[..., bool], arguments: dict[str, Any]) -> tuple[bool, float]:
    """One start of the service; True if it ended because `current` was swapped, or to take over its configuration, and
    the seconds within which the next start must inspect.

    The program is then started anew rather than its model exchanged: what the old model allocated, and whatever a
    library has kept of it, ends with it.
    """
    from edgetl.runtime.flashing.clock import SystemClock
    from edgetl.runtime.flashing.layout import DeviceRoot
    from edgetl.runtime.flashing.service import SlotService

    root = DeviceRoot(slot)
    service = SlotService.begin(root, SystemClock())
    try:
        again = function(bundle=root.bundle(service.slot) if service.slot else None, tie=Tie(service), **arguments)
    except BaseException as error:
        service.end(error)
        raise
    service.end()
    return service.moved or again, service.takeover_s
