"""`edgetl pull`."""

from __future__ import annotations

from pathlib import Path

import click

from edgetl.flasher.commands.options import agent_option, json_option


@click.command()
@click.argument("host")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where to put the pictures; what is there stays.")  # fmt: skip
@click.option("--folder", default=None, metavar="PATH", help="The line's collect folder there.  [default: /var/lib/edgetl/collected]")  # fmt: skip
@agent_option
@json_option
def pull(host: str, out: Path, folder: str | None, agent: str, as_json: bool) -> None:
    """Fetch the pictures that a device kept for people to label. HOST as ssh takes it, or local:PATH."""
    import msgspec

    from edgetl.flasher.agent import Agent
    from edgetl.flasher.owner import this_process
    from edgetl.flasher.progress import ConsoleReporter
    from edgetl.flasher.pull import pull as fetch
    from edgetl.flasher.transport import transport_to

    pulled = fetch(Agent(transport_to(host, agent), this_process()), out, folder, ConsoleReporter(host))
    if as_json:
        click.echo(msgspec.json.encode(pulled).decode())
        return
    lost = f", {pulled.missed} were gone or damaged" if pulled.missed else ""
    click.echo(f"{out}: {pulled.fetched} new pictures, {pulled.here} were here already{lost}")
