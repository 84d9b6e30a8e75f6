"""`edgetl sign`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgetl.errors import UsageError


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="An SSH private key, or the public half of one that an agent or a token holds.",
)
@click.option("--out", type=click.Path(path_type=Path), default=None, metavar="FILE", help="[default: BUNDLE itself]")
@click.option("--number", type=click.IntRange(1, 10**18), default=None, help="[default: the time, as 20250131235959]")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Only for that device; may be given often.")
@click.option("--arch", "architectures", multiple=True, metavar="NAME", help="Only for that processor, as of uname -m.")
@click.option("--min-edgetl", default="", metavar="VERSION", help="The oldest edgetl that may run it.")
@click.option("--expires", default=None, metavar="DATE", help="The last day that it may be flashed, as 2030-12-31.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def sign(
    bundle: Path, key: Path, out: Path | None, number: int | None, devices: tuple[str, ...],
    architectures: tuple[str, ...], min_edgetl: str, expires: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a bundle a release: number it, direct it, and sign it with an SSH key."""
    from edgetl.flasher import signing
    from edgetl.runtime.manifest import Release

    number = number or signing.next_number()
    try:
        release = Release(
            number=number, architectures=architectures, devices=devices, min_edgetl=min_edgetl, expires=expires
        )
    except ValueError as error:
        raise UsageError(f"--expires {expires}: not a date as 2030-12-31") from error
    signing.sign(bundle, out or bundle, key, release)
    if as_json:
        click.echo(json.dumps({"bundle": str(out or bundle), "number": number}))
        return
    click.echo(f"{out or bundle}: release {number}, signed with {key}")
