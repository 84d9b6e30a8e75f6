"""`edgetl device init`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.flasher.commands.options import ssh_config_option

if TYPE_CHECKING:
    from edgetl.flasher.provision.desired import Wanted
    from edgetl.flasher.transport import Ssh

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("host", metavar="USER@HOST")
@click.option("--config", required=True, metavar="NAME|FILE", help="Its settings: edgetl device configs lists them.")
@click.option("--line", type=_FILE, help="The line's file (edgetl run --config) for its service.")
@click.option("--signers", type=_FILE, help="Whose releases it takes: ssh-keygen's allowed signers file.")
@click.option("--revoked", type=_FILE, help="Keys that no longer count: a revocation list, or public keys.")
@click.option("--offline", is_flag=True, help="Carry all packages over: the device has no internet.")
@click.option(
    "--wheelhouse",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Packages from edgetl device wheelhouse.",
)
@click.option("--extra", "extras", multiple=True, help="More of edgetl's extras, as line or page.")
@click.option("--inventory", type=_FILE, help="Ansible's; the host is then one of it.")
@ssh_config_option
@click.option("--check", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def init(
    host: str, config: str, line: Path | None, signers: Path | None, revoked: Path | None, offline: bool,
    wheelhouse: Path | None, extras: tuple[str, ...], inventory: Path | None, ssh_config: Path | None, check: bool, as_json: bool,
) -> None:  # fmt: skip
    """Set a device up over SSH: environment, user, slots, service. Run again, it changes what differs, and says so."""
    import msgspec

    from edgetl.flasher.provision.desired import device_extra
    from edgetl.flasher.provision.provisioning import Supply, initialise

    wanted = wanted_files(config, line, signers, revoked)
    supply = Supply((device_extra(wanted.config), *sorted(set(extras))), offline, wheelhouse)
    result = initialise(
        _shell(host, inventory, ssh_config),
        wanted,
        supply,
        time.time(),
        lambda step: click.echo(f"{host}: {step}", err=True),
        dry=check,
    )
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    for finding in result.findings:
        click.echo(f"{host}: warning: {finding.what}; {finding.mend}")
    if not result.changes:
        click.echo(f"{host}: nothing to change")
    elif check:
        click.echo(f"{host}: would change: {'; '.join(result.changes)}")
    else:
        click.echo(f"{host}: set up, {len(result.changes)} changes; next: edgetl flash BUNDLE --to {host}")


def _shell(host: str, inventory: Path | None, ssh_config: Path | None) -> Ssh:
    """The way to the device: as OpenSSH knows it, or as an inventory says."""
    from edgetl.errors import UsageError
    from edgetl.flasher.fleet.inventory import Device, chosen
    from edgetl.flasher.transport import Ssh

    devices = [Device(host, {})] if inventory is None else chosen(inventory, host)
    way = devices[0].transport(ssh_config=ssh_config)
    if len(devices) > 1 or not isinstance(way, Ssh):
        raise UsageError(
            f"{host}: devices are set up one by one, over SSH; for a group use the Ansible role edgetl.devices.device"
        )
    return way


def wanted_files(config: str, line: Path | None, signers: Path | None, revoked: Path | None) -> Wanted:
    """Reads and checks every file before anything is asked of the device."""
    from edgetl.flasher.provision.desired import Wanted
    from edgetl.runtime.config import load_line
    from edgetl.runtime.device_config import config_text, names, read_config

    read = read_config(config)
    text = config_text(config) if config in names() else Path(config).read_text()
    if line is not None:
        load_line(line)
    return Wanted(
        config=read, config_text=text, line=_text(line), signers=_text(signers), revoked=_text(revoked),
    )  # fmt: skip


def _text(path: Path | None) -> str | None:
    return None if path is None else path.read_text()
