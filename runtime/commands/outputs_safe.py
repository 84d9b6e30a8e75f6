"""`edgetl outputs safe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edgetl.errors import OutputError

if TYPE_CHECKING:
    from edgetl.runtime.config import LineConfig
    from edgetl.runtime.pins.safe_levels import Driven


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The line's YAML file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a pin.")
def safe(config: Path, as_json: bool) -> None:
    """Drive the line's pins to their safe state, as after a crash: a killed process leaves them as they were."""
    from edgetl.runtime.config import load_line

    done = _driven(load_line(config))
    for pin in done:
        said = pin.trouble or f"{pin.chip}, line {pin.line}: {'active' if pin.active else 'inactive'}"
        click.echo(msgspec.json.encode(pin).decode() if as_json else f"{'FAILED' if pin.trouble else 'ok':<7}{said}")
    if failed := [pin for pin in done if pin.trouble]:
        raise OutputError(f"{len(failed)} of {len(done)} pins are not in their safe state: {failed[0].trouble}")


def _driven(site: LineConfig) -> list[Driven]:
    """A file without pins needs no library for them."""
    from edgetl.runtime.outputs.config import Gpio

    levels = [*(site.reject.safe_levels if site.reject is not None else ())]
    for output in site.outputs:
        levels += output.safe_levels if isinstance(output, Gpio) else ()
    if not levels:
        return []
    from edgetl.runtime.pins.gpio import GpioChip
    from edgetl.runtime.pins.safe_levels import drive_safe

    return drive_safe(levels, GpioChip())
