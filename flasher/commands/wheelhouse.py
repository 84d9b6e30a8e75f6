"""`edgetl device wheelhouse`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from edgetl.errors import UsageError


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Where to put them.")
@click.option("--architecture", default="aarch64", show_default=True, help="As `uname -m` says on the device.")
@click.option(
    "--python", "python", default="3.11", show_default=True, help="Its Python; Raspberry Pi OS bookworm has 3.11."
)
@click.option("--glibc", default="2.36", show_default=True, help="Its C library; Raspberry Pi OS bookworm has 2.36.")
@click.option("--extra", "extras", multiple=True, default=("device",), show_default=True, help="edgetl's extras.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def wheelhouse(
    out: Path, architecture: str, python: str, glibc: str, extras: tuple[str, ...], as_json: bool
) -> None:  # fmt: skip
    """Fetch all packages for devices without internet; for edgetl device init --wheelhouse and device image."""
    from edgetl.flasher.provision.wheelhouse import Target, fill_wheelhouse

    wheels = fill_wheelhouse(out, Target(architecture, version(python), version(glibc), tuple(extras)))
    size = sum(Path(wheel.path).stat().st_size for wheel in wheels)
    if as_json:
        click.echo(
            json.dumps({"folder": str(out), "wheels": [Path(wheel.path).name for wheel in wheels], "bytes": size})
        )
    else:
        click.echo(f"{out}: {len(wheels)} wheels, {size / 1e6:.0f} MB")


def version(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d+\.\d+", text):
        raise UsageError(f"{text!r} is no version; write it as 3.11")
    major, minor = text.split(".")
    return int(major), int(minor)
