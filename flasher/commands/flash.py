"""`edgetl flash` and `edgetl rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.flasher.commands.options import agent_option, inventory_option, json_option, ssh_config_option

if TYPE_CHECKING:
    from edgetl.flasher.flash import Flashed
    from edgetl.flasher.transport import Transport


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--to", "host", required=True, metavar="HOST|GROUP", help="As ssh takes it, or local:PATH of a device root."
)
@click.option(
    "--inventory",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Ansible's; HOST or GROUP is then one of it.",
)
@click.option(
    "--canary",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Of a group: so many first; if one fails, none follows.",
)
@click.option(
    "--wave",
    type=click.FloatRange(0, 100, min_open=True),
    default=25,
    show_default=True,
    metavar="PERCENT",
    help="Of a group: how many side by side.",
)
@click.option(
    "--max-failed",
    type=click.FloatRange(0, 100),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="Of a group: stop beyond it.",
)
@click.option(
    "--trial",
    "trial_s",
    type=click.FloatRange(0.1, 86400),
    default=None,
    metavar="SECONDS",
    help="How long it must run well.  [default: the device's]",
)
@click.option("--allow-downgrade", is_flag=True, help="Let an older release come.")
@click.option(
    "--downgrade-key",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="The SSH key that permits it, where the device requires signatures.",
)
@click.option(
    "--camera/--no-camera", "look", default=True, show_default=True, help="Take a camera frame before it goes live."
)
@agent_option
@ssh_config_option
@json_option
def flash(
    bundle: Path, host: str, inventory: Path | None, canary: int, wave: float, max_failed: float, trial_s: float | None,
    allow_downgrade: bool, downgrade_key: Path | None, look: bool, agent: str, ssh_config: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Put a release on a device: it arrives whole, proves itself there, runs on trial, and goes back if it fails."""
    import msgspec

    from edgetl.flasher.agent import Agent
    from edgetl.flasher.flash import Flasher, Request, load
    from edgetl.flasher.owner import this_process
    from edgetl.flasher.progress import ConsoleReporter
    from edgetl.flasher.transport import transport_to

    request = Request(
        bundle=bundle, allow_downgrade=allow_downgrade, downgrade_key=downgrade_key, trial_s=trial_s, look=look
    )
    if inventory is not None:
        from edgetl.flasher.commands.group import Site, flash_group
        from edgetl.flasher.fleet.waves import Plan

        plan = Plan(canary, wave / 100, max_failed / 100)
        flash_group(request, Site(inventory, host, agent, ssh_config), plan, as_json=as_json)
        return
    cargo = load(bundle)
    device = Agent(transport_to(host, agent, ssh_config), this_process())
    flashed = Flasher(device, ConsoleReporter(host)).flash(request, cargo)
    for warning in flashed.warnings:
        click.echo(f"edgetl: warning: {warning}", err=True)
    click.echo(msgspec.json.encode(flashed).decode() if as_json else _line(flashed))


def _line(flashed: Flashed) -> str:
    what = f"{flashed.host}: {flashed.name}, release {flashed.number}"
    if not flashed.changed:
        return f"{what}, runs already in slot {flashed.slot}"
    measured = ""
    if flashed.rehearsal is not None:
        latency = flashed.rehearsal.latency_ms
        pictures = flashed.rehearsal.replays[0].pictures
        measured = f"; {pictures} golden pictures as at export, {latency['p90_ms']:.1f} ms at p90 there"
    return f"{what}, runs in slot {flashed.slot} after {flashed.seconds:.1f} s: {flashed.reason}{measured}"


@click.command()
@click.argument("host")
@inventory_option
@agent_option
@ssh_config_option
@json_option
def rollback(host: str, inventory: Path | None, agent: str, ssh_config: Path | None, as_json: bool) -> None:
    """Go back to the release in a device's other slot. HOST as ssh takes it, or local:PATH."""
    import msgspec

    from edgetl.flasher.agent import Agent
    from edgetl.flasher.commands.reaching import each, ways
    from edgetl.flasher.owner import this_process
    from edgetl.flasher.rollback import roll_back

    def go_back(way: Transport) -> None:
        release = roll_back(Agent(way, this_process()))
        if as_json:
            told = release if inventory is None else {"host": way.name, "release": release}
            click.echo(msgspec.json.encode(told).decode())
        else:
            click.echo(f"{way.name}: runs {release.name}, release {release.number}, again")

    each(ways(host, inventory, agent, ssh_config), go_back)
