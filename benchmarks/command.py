"""`edgetl bench`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="About a second a row instead of a minute; the report is marked as quick.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, metavar="FILE", help="Also write the report there, as JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON line.")
def bench(bundle: Path, quick: bool, out: Path | None, as_json: bool) -> None:
    """Latency of every stage and end to end, threads swept, float beside int8."""
    from edgetl.benchmarks.latency import FULL, QUICK
    from edgetl.benchmarks.latency import bench as bench_bundle
    from edgetl.runtime.bundle import open_bundle
    from edgetl.runtime.files import write_file

    with open_bundle(bundle) as opened:
        report = bench_bundle(opened, QUICK if quick else FULL, lambda line: click.echo(line, err=True))
    text = msgspec.json.encode(report).decode()
    if out is not None:
        write_file(out, text + "\n")
    if as_json:
        click.echo(text)
        return
    click.echo(
        f"{report.machine['processor']} ({report.machine['int8_instructions']}){', quick' if report.quick else ''}"
    )
    click.echo(
        f"{'model':<22}{'interpreter':<16}{'threads':>7}{'p50':>9}{'p90':>9}{'p99':>9}{'load':>9}{'first':>9}  ms"
    )
    for row in report.sweep:
        click.echo(f"{row.model:<22}{row.interpreter:<16}{row.threads:>7}{row.p50_ms:>9.2f}{row.p90_ms:>9.2f}"
                   f"{row.p99_ms:>9.2f}{row.load_ms:>9.1f}{row.first_ms:>9.1f}")  # fmt: skip
    click.echo(f"\nstages with {report.chosen}, frames of 1280×720")
    for name, figures in {**report.stages, "end to end": report.end_to_end}.items():
        click.echo(f"{name:<45}{figures['p50_ms']:>9.3f}{figures['p90_ms']:>9.3f}{figures['p99_ms']:>9.3f}")
    if report.int8_speedup is not None:
        click.echo(f"int8 is {report.int8_speedup:.2f} times as fast as float32 here")
        if report.int8_speedup < 1:
            click.echo("warning: on this processor int8 is slower than float32", err=True)
