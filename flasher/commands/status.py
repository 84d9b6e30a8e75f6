"""`edgetl device status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.flasher.commands.options import agent_option, inventory_option, json_option, ssh_config_option

if TYPE_CHECKING:
    from edgetl.flasher.transport import Transport
    from edgetl.runtime.flashing.facts import DeviceFacts


@click.command()
@click.argument("host")
@inventory_option
@agent_option
@ssh_config_option
@json_option
def status(host: str, inventory: Path | None, agent: str, ssh_config: Path | None, as_json: bool) -> None:
    """Which release a device runs, and how the last flash ended. HOST as ssh takes it, or local:PATH."""
    import msgspec

    from edgetl.flasher.agent import Agent
    from edgetl.flasher.commands.reaching import each, ways
    from edgetl.flasher.owner import this_process

    def show(way: Transport) -> None:
        facts = Agent(way, this_process()).facts()
        if as_json:
            told = facts if inventory is None else {"host": way.name, "status": facts}
            click.echo(msgspec.json.encode(told).decode())
            return
        for line in _lines(way.name, facts):
            click.echo(line)

    each(ways(host, inventory, agent, ssh_config), show)


def _lines(host: str, facts: DeviceFacts) -> list[str]:
    interpreters = ", ".join(facts.interpreters) or "no interpreter"
    lines = [f"{host}: {facts.device or 'device'}, {facts.architecture}, edgetl {facts.edgetl}, {interpreters}, "
             f"{facts.free_bytes / 1e6:.0f} MB free"]  # fmt: skip
    for slot, found in facts.slots.items():
        mark = "*" if slot == facts.current else " "
        what = "empty"
        if found.release is not None:
            what = f"{found.release.name}, release {found.release.number}, {found.release.sha256[:12]}"
        if slot == facts.current and facts.on_trial:
            what += ", on trial"
        lines.append(f"{mark} slot {slot}: {what}" + (f"; failed: {found.failed}" if found.failed else ""))
    if facts.safe_mode:
        lines.append(f"SAFE MODE: {facts.safe_mode}")
    if facts.last:
        lines.append(f"last: {facts.last.what} at {facts.last.at.text}: {facts.last.reason}")
    if facts.busy:
        lines.append(f"busy by {facts.busy.owner} since {facts.busy.since.text}")
    lines.append(_service(facts))
    if not facts.clock.synchronised:
        lines.append(f"clock: {facts.clock.text}, set right by nothing")
    return lines


def _service(facts: DeviceFacts) -> str:
    pulse = facts.service
    if pulse is None:
        return "service: not running"
    runs = f"slot {pulse.slot}" if pulse.slot else "safe mode"
    return f"service: {runs}, {pulse.judged} verdicts in {pulse.uptime_s:.0f} s" + (
        f", {pulse.error}" if pulse.error else ""
    )
