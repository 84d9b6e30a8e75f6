"""`edgetl export`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The bundle to write, NAME.edgetl."
)
@click.option(
    "--data", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Where the run's pictures are now."
)
@click.option("--max-drop", default=1.0, show_default=True, help="Points of balanced accuracy that int8 may lose.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Below it a verdict is UNKNOWN."
)
@click.option(
    "--float/--no-float",
    "with_float",
    default=True,
    show_default=True,
    help="Also carry the float model, to compare with.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Keep intermediate files and logs there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def export(
    run: Path, out: Path, data: Path | None, max_drop: float, min_score: float, with_float: bool, keep: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Turn a run into a verified int8 bundle (TFLite and ONNX), measured against float before it is written."""
    import msgspec

    from edgetl.exporter.exporting import Options
    from edgetl.exporter.exporting import export as export_run
    from edgetl.trainer.progress import ConsoleReporter
    from edgetl.trainer.run_folder import read_run

    options = Options(out=out, data=data, max_drop=max_drop, min_score=min_score, with_float=with_float, keep=keep)
    with ConsoleReporter() as reporter:
        manifest = export_run(read_run(run), options, reporter)
    size = out.stat().st_size
    rows = [msgspec.to_builtins(row) for row in manifest.measured]
    if as_json:
        click.echo(json.dumps({"bundle": str(out), "bytes": size, "measured": rows}))
        return
    click.echo(f"{out}: {size / 1e6:.1f} MB")
    click.echo(f"{'model':<22}{'split':<7}{'n':>5}{'balanced accuracy':>20}{'same as float':>16}")
    for row in manifest.measured:
        click.echo(
            f"{row.model:<22}{row.split:<7}{row.n:>5}{100 * row.balanced_accuracy:>18.2f} %{100 * row.same_decisions:>14.1f} %"
        )
