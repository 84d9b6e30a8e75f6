"""`edgetl device configs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgetl.runtime.device_config import DeviceConfig


@click.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON, one device a line.")
def configs(name: str | None, as_json: bool) -> None:
    """List the devices that edgetl knows; with NAME, its settings and where each number comes from; with FILE, check it."""
    import msgspec

    from edgetl.runtime.device_config import config_text, names, read_config

    found = {known: read_config(known) for known in ((name,) if name else names())}
    if as_json:
        for known, config in found.items():
            click.echo(msgspec.json.encode({"name": known, **msgspec.to_builtins(config)}).decode())
    elif name is None:
        names_wide, about_wide = (max(map(len, texts)) for texts in (found, map(_about, found.values())))
        for known, config in found.items():
            click.echo(f"{known:<{names_wide}}  {_about(config):<{about_wide}}  {_facts(config)}")
        click.echo(
            "edgetl device configs NAME shows a device's settings with their sources; copy them to a file to change them."
        )
    elif name in names():
        click.echo(config_text(name), nl=False)
    else:
        click.echo(f"{name}: valid. {_about(found[name])}: {_facts(found[name])}")


def _about(config: DeviceConfig) -> str:
    return config.about or config.architecture


def _facts(config: DeviceConfig) -> str:
    """What a device runs with; what is left to a measurement says so."""
    budget = config.budget
    facts = [
        config.interpreter or "interpreter measured",
        f"{config.threads} threads" if config.threads else "threads measured",
        f"{budget.latency_ms:g} ms" if budget.latency_ms else "no latency limit",
        f"{budget.memory_mb} MB" if budget.memory_mb else "no memory limit",
    ]
    return ", ".join(facts)
