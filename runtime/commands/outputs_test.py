"""`edgetl outputs test`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from edgetl.errors import OutputError, UsageError


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The line's YAML file.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this output; may be given more than once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line an output.")
def test(config: Path, only: tuple[str, ...], as_json: bool) -> None:
    """Send a test message to each output; say which answered."""
    from edgetl.runtime.config import load_line
    from edgetl.runtime.outputs.station import station_name
    from edgetl.runtime.outputs.trial import try_output

    site = load_line(config)
    known = [output.title for output in site.outputs]
    if strange := sorted(set(only) - set(known)):
        raise UsageError(f"{config}: no output is called {strange[0]!r}; there are {', '.join(known) or 'none'}")
    chosen = [output for output in site.outputs if not only or output.title in only]
    if not chosen:
        raise UsageError(f"{config}: names no outputs; add a list `outputs:` with a `type` for each")
    silent = []
    for output in chosen:
        answer = try_output(output, station_name(site.name))
        silent += [] if answer.ok else [answer.name]
        click.echo(msgspec.json.encode(answer).decode() if as_json else
                   f"{'ok' if answer.ok else 'FAILED':<7}{answer.name:<16}{answer.address}: {answer.detail} ({answer.milliseconds:.0f} ms)")  # fmt: skip
    if silent:
        raise OutputError(f"{len(silent)} of {len(chosen)} outputs did not answer: {', '.join(silent)}")
