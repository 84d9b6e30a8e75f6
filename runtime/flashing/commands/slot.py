"""The commands of `edgetl slot`."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgetl.errors import EdgetlError, UsageError

_MAX_ANNOUNCEMENT = 8 << 20  # a manifest of 4 MiB in base64, and a signature


@click.group()
def slot() -> None:
    """The device's side of flashing. The workstation calls these over SSH; each answers with one JSON line."""


def answering(function: Callable[..., Any]) -> Callable[..., None]:
    """Prints what a command returns as one JSON line; an error too, beside its line on stderr and its exit code."""

    @functools.wraps(function)
    def command(**arguments: Any) -> None:
        import msgspec

        try:
            answer = function(**arguments)
        except EdgetlError as error:
            click.echo(msgspec.json.encode({"error": {"code": error.code, "message": str(error)}}).decode())
            raise
        click.echo(msgspec.json.encode({"answer": answer}).decode())

    return command


def at_root(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --root and --protocol, which every command takes."""
    protocol = click.option("--protocol", type=int, default=1, show_default=True, help="What the caller speaks.")
    root = click.option(
        "--root",
        type=click.Path(path_type=Path),
        default=Path("/var/lib/edgetl"),
        show_default=True,
        help="The device's folder.",
    )

    @functools.wraps(function)
    def command(root: Path, protocol: int, **arguments: Any) -> Any:
        from edgetl.errors import ProtocolError
        from edgetl.runtime.flashing.facts import PROTOCOLS
        from edgetl.runtime.flashing.layout import DeviceRoot

        if not PROTOCOLS[0] <= protocol <= PROTOCOLS[1]:
            raise ProtocolError(f"the caller speaks protocol {protocol}, this device {PROTOCOLS[0]} to {PROTOCOLS[1]}")
        return function(DeviceRoot(root), **arguments)

    return root(protocol(command))


def _prepared(root: Any) -> Any:
    """Refuses a root that nothing prepared, before anything is written beside it."""
    if not root.staging.is_dir():
        raise UsageError(f"{root.path}: no device root; make it: edgetl slot prepare --root {root.path}")
    return root


@slot.command()
@answering
@at_root
def prepare(root: Any) -> Any:
    """Make the folders of a device root; those that are there stay as they are."""
    return {"made": root.prepare()}


@slot.command()
@answering
@at_root
def status(root: Any) -> Any:
    """How the device is: slots, releases, trial, last outcome, service, clock."""
    from edgetl.runtime.flashing.clock import SystemClock
    from edgetl.runtime.flashing.facts import device_facts

    return device_facts(_prepared(root), SystemClock())


def by_owner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --owner and --take-over; the command then holds the device, and gets its steps as `flash`."""
    owner = click.option("--owner", required=True, help="Who calls, as PID@HOST/MARK.")
    take_over = click.option("--take-over", default=None, metavar="OWNER", help="An owner known to be dead.")

    @functools.wraps(function)
    def command(root: Any, owner: str, take_over: str | None, **arguments: Any) -> Any:
        from edgetl.runtime.flashing.clock import SystemClock
        from edgetl.runtime.flashing.facts import settings_of
        from edgetl.runtime.flashing.flash import Flash
        from edgetl.runtime.flashing.lease import holding

        _outlive_the_connection()
        clock, lease_s = SystemClock(), settings_of(_prepared(root)).flashing.lease_s
        with holding(root, owner, clock, lease_s, take_over) as holder:
            try:
                return function(Flash(root, clock, holder), owner, **arguments)
            except EdgetlError:
                if function.__name__ != "receive":  # an upload that broke off is about to be gone on with
                    holder.give_back()
                raise

    return owner(take_over(command))


def _outlive_the_connection() -> None:
    """A step that was begun is finished though the connection broke: its end is in the journal."""
    for number in (signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


sha256 = click.option("--sha256", required=True, help="Of the release's file.")


@slot.command()
@answering
@at_root
@by_owner
def begin(flash: Any, owner: str) -> Any:
    """Decide whether a release may come; its announcement is the input, as JSON."""
    import msgspec

    from edgetl.runtime.flashing.flash import Announcement

    try:
        announced = msgspec.json.decode(sys.stdin.buffer.read(_MAX_ANNOUNCEMENT), type=Announcement)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"the announcement is not valid: {error}") from error
    return flash.begin(announced, owner)


@slot.command()
@answering
@at_root
@by_owner
@sha256
@click.option("--size", type=click.IntRange(1), required=True, help="Bytes of the whole file.")
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True, help="Where the input goes on.")
def receive(flash: Any, owner: str, sha256: str, size: int, offset: int) -> Any:
    """Take in the release's bytes from the input."""
    from edgetl.runtime.flashing.staging import StandardInput

    return flash.receive(sha256, size, offset, StandardInput())


@slot.command()
@answering
@at_root
@by_owner
@sha256
@click.option("--look/--no-look", default=True, show_default=True, help="Also take a frame of the camera.")
def rehearse(flash: Any, owner: str, sha256: str, look: bool) -> Any:
    """Check the staged release, replay its golden set and time it, in a child with limits."""
    return flash.rehearse(sha256, look=look)


@slot.command()
@answering
@at_root
@by_owner
@sha256
@click.option("--trial", "trial_s", type=click.FloatRange(0.1), default=None, help="Seconds.  [default: the device's]")
def activate(flash: Any, owner: str, sha256: str, trial_s: float | None) -> Any:
    """Let the rehearsed release run, on trial, and commit it or go back."""
    return flash.activate(sha256, trial_s)


@slot.command()
@answering
@at_root
@by_owner
def rollback(flash: Any, owner: str) -> Any:
    """Go back to the release in the other slot."""
    return flash.roll_back(owner)


@slot.command()
@answering
@at_root
@by_owner
def leave(flash: Any, owner: str) -> Any:
    """Give the device back after a flash that will not be gone on with; what arrived of it stays."""
    flash.leave()


@slot.command(name="next")
@answering
@at_root
def next_start(root: Any) -> Any:
    """Which slot a service that started now would run, and why; changes nothing."""
    from edgetl.runtime.flashing.clock import SystemClock
    from edgetl.runtime.flashing.facts import settings_of
    from edgetl.runtime.flashing.slots import Slots

    slots = Slots(_prepared(root), SystemClock())
    return slots.next_start(settings_of(root).flashing)


kept_in = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=None,
    help="Where the line collects.  [default: ROOT/collected]",
)


@slot.command()
@answering
@at_root
@kept_in
def kept(root: Any, folder: Path | None) -> Any:
    """The records of the pictures that the line kept for people to label."""
    from edgetl.runtime.collect.carry import listing

    return listing(folder or root.collected)


@slot.command(name="kept-pictures")
@answering
@at_root
@kept_in
def kept_pictures(root: Any, folder: Path | None) -> Any:
    """Some of the kept pictures, as many as one answer holds; the input names them, as a JSON list."""
    import msgspec

    from edgetl.runtime.collect.carry import batch

    try:
        names = msgspec.json.decode(sys.stdin.buffer.read(_MAX_ANNOUNCEMENT), type=list[str])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"the names are not valid: {error}") from error
    return batch(folder or root.collected, names)
