"""`edgetl report`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="The pictures; else where the run had them.",
)
@click.option("--split", default="val", show_default=True, help="Which split's mistakes to show; all: every picture.")
@click.option("--json", "as_json", is_flag=True, help="Print where the page lies as one JSON line.")
def report(run: Path, data: Path | None, split: str, as_json: bool) -> None:
    """Write RUN/report.html again: the recipe and why, figures, and the worst mistakes with what they rest on.

    `edgetl train` writes it at its end, on val.
    """
    from edgetl.trainer.reporting.page import write_report
    from edgetl.trainer.reporting.split import split_of
    from edgetl.trainer.run_folder import read_run

    read = read_run(run)
    pictures = split_of(
        read, data or Path(read.settings.data), split, lambda line: click.echo(f"edgetl: {line}", err=True)
    )
    out = write_report(read, pictures)
    click.echo(json.dumps({"report": str(out)}) if as_json else f"report in {out}")
