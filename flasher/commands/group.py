"""What `edgetl flash --to GROUP --inventory FILE` does: one flash after another, or side by side in waves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edgetl.errors import FlashError

if TYPE_CHECKING:
    from edgetl.flasher.flash import Request
    from edgetl.flasher.fleet.waves import Plan


class Site(msgspec.Struct, frozen=True):
    """Which devices: a group, or one, of an inventory; and how they are reached."""

    inventory: Path
    name: str
    agent: str
    ssh_config: Path | None


def flash_group(request: Request, site: Site, plan: Plan, *, as_json: bool) -> None:
    """Flashes the devices of a group, or one device, of an inventory. Raises FlashError if any failed or was left out."""
    from edgetl.flasher.agent import Agent
    from edgetl.flasher.flash import Flasher, load
    from edgetl.flasher.fleet.inventory import chosen
    from edgetl.flasher.fleet.rollout import roll_out
    from edgetl.flasher.owner import this_process
    from edgetl.flasher.progress import ConsoleReporter

    cargo = load(request.bundle)
    devices = {device.name: device for device in chosen(site.inventory, site.name)}

    def flash(host: str) -> bool:
        reached = Agent(devices[host].transport(site.agent, site.ssh_config), this_process())
        return Flasher(reached, ConsoleReporter(host)).flash(request, cargo).changed

    done = roll_out(list(devices), flash, plan, lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(
            msgspec.json.encode(
                {"name": cargo.name, "number": cargo.number, "stopped": done.stopped, "hosts": done.results}
            ).decode()
        )
    else:
        for result in done.results:
            click.echo(f"{result.host}: {result.state}" + (f": {result.reason}" if result.reason else ""))
    if done.failed or done.stopped:
        left = sum(result.state == "not tried" for result in done.results)
        raise FlashError(
            f"{site.name}: {len(done.failed)} of {len(devices)} failed, {left} not tried: {done.stopped or 'the rest runs the release'}"
        )
