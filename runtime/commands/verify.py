"""`edgetl verify`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from edgetl.errors import GoldenError, MissingPartError


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def verify(bundle: Path, as_json: bool) -> None:
    """Check a bundle here: sizes, hashes, format, proof of int8, preprocessing to the bit, golden set."""
    from edgetl.runtime.verification import verify as verify_bundle

    result = verify_bundle(bundle)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    else:
        click.echo(f"{bundle}: {result.files} files, sizes and hashes as promised; labels {', '.join(result.labels)}")
        for proof in result.proofs:
            click.echo(f"{proof.model}: {proof.words()}")
        for item in result.replays:
            outcome = "passed" if item.passed else "FAILED"
            click.echo(
                f"{item.model} in {item.interpreter}, {item.kernels} kernels: {item.exact} of {item.pictures} golden "
                f"pictures equal to the bit, {len(item.flips)} verdicts changed (largest step {item.max_step:g}): {outcome}"
            )
    if not result.replays:
        raise MissingPartError(f"{bundle}: {result.reason}")
    if result.reason is not None:
        raise GoldenError(f"{bundle}: {result.reason}; do not run it on this device")
