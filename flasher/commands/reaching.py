"""How the commands that speak to one device, or to each of a group, find it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.errors import EdgetlError, FlashError

if TYPE_CHECKING:
    from edgetl.flasher.transport import Transport


def ways(host: str, inventory: Path | None, agent: str = "edgetl", ssh_config: Path | None = None) -> list[Transport]:
    """The way to HOST, or to each device of a group of the inventory. Raises UsageError for a name that is not in it."""
    if inventory is None:
        from edgetl.flasher.transport import transport_to

        return [transport_to(host, agent, ssh_config)]
    from edgetl.flasher.fleet.inventory import chosen

    return [device.transport(agent, ssh_config) for device in chosen(inventory, host)]


def each(found: list[Transport], act: Callable[[Transport], None]) -> None:
    """Acts on one device after the other; those that fail do not keep it from the rest. Raises FlashError at the end."""
    if len(found) == 1:
        act(found[0])
        return
    failed = []
    for way in found:
        try:
            act(way)
        except EdgetlError as error:
            failed.append(way.name)
            click.echo(f"edgetl: {error.code}: {error}", err=True)
    if failed:
        raise FlashError(f"{len(failed)} of {len(found)} devices failed: {', '.join(failed)}")
