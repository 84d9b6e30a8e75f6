"""`edgetl device doctor`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.errors import ProvisionError, UsageError
from edgetl.flasher.commands.options import inventory_option, json_option, ssh_config_option

if TYPE_CHECKING:
    from edgetl.flasher.transport import Transport


@click.command()
@click.argument("host", metavar="USER@HOST")
@click.option("--config", default=None, metavar="NAME|FILE", help="Compare with these settings.")
@inventory_option
@ssh_config_option
@json_option
def doctor(host: str, config: str | None, inventory: Path | None, ssh_config: Path | None, as_json: bool) -> None:
    """What is wrong with a device, and how to mend it. Exit code 1 if something keeps it from inspecting."""
    from edgetl.flasher.commands.reaching import each, ways

    each(ways(host, inventory, ssh_config=ssh_config), lambda way: _look(way, config, as_json))


def _look(way: Transport, config: str | None, as_json: bool) -> None:
    import msgspec

    from edgetl.flasher.agent import Agent
    from edgetl.flasher.owner import this_process
    from edgetl.flasher.provision.provisioning import examine
    from edgetl.flasher.transport import Ssh
    from edgetl.runtime.device_config import read_config

    host = way.name
    if not isinstance(way, Ssh):
        raise UsageError(f"{host}: a device is looked at over SSH")
    agent = Agent(way, this_process())
    survey, found = examine(way, read_config(config) if config else None, time.time(), agent.facts)
    errors = sum(finding.grade == "error" for finding in found)
    if as_json:
        click.echo(msgspec.json.encode({"host": host, "survey": survey, "findings": found}).decode())
    else:
        edgetl = survey.installed.packages.get("edgetl", "not installed")
        click.echo(f"{host}: {survey.model or survey.architecture}, {survey.system}, edgetl {edgetl}, "
                   f"{survey.memory_mb} MB of memory, {survey.free_mb} MB free")  # fmt: skip
        for finding in found:
            click.echo(f"{finding.grade}: {finding.what}; {finding.mend}")
    if errors:
        raise ProvisionError(f"{host}: {errors} things keep it from inspecting")
    if not as_json and not found:
        click.echo("nothing is wrong")
