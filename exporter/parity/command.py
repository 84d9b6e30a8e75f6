"""`edgetl parity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgetl.exporter.parity.record import Report


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Write parity.html and parity.json there.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Where the run's pictures are now."
)
@click.option("--split", type=click.Choice(["val", "test", "both"]), default="both", show_default=True)
@click.option(
    "--also",
    multiple=True,
    metavar="NAME=COMMAND",
    help="Ask the models there too: COMMAND runs a Python that has edgetl, such as 'ssh pi@line1 /opt/edgetl/bin/python'.",
)
@click.option(
    "--most-elsewhere", type=click.IntRange(1), default=60, show_default=True, help="Pictures that are sent there."
)
@click.option(
    "--max-flips",
    type=click.FloatRange(0, 100),
    default=2.0,
    show_default=True,
    help="Labels in percent that may differ from the network's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def parity(
    run: Path, bundle: Path, out: Path, data: Path | None, split: str, also: tuple[str, ...], most_elsewhere: int,
    max_flips: float, as_json: bool,
) -> None:  # fmt: skip
    """Compare a bundle's models with the network they came from: every library and machine, every changed picture."""
    import msgspec

    from edgetl.errors import ParityError
    from edgetl.exporter.ladder.gate import Limits
    from edgetl.exporter.parity.asking import parse_elsewhere
    from edgetl.exporter.parity.reporting import Choices
    from edgetl.exporter.parity.writing import report_on
    from edgetl.exporter.work_folder import check_folder
    from edgetl.trainer.progress import ConsoleReporter
    from edgetl.trainer.run_folder import read_run

    found = read_run(run)
    check_folder(out)
    choices = Choices(
        data=data or Path(found.settings.data),
        splits=("val", "test") if split == "both" else (split,),
        elsewhere=tuple(parse_elsewhere(text) for text in also),
        most_elsewhere=most_elsewhere,
        max_flips=Limits(max_flips=max_flips).max_flips,
    )
    with ConsoleReporter() as reporter:
        report = report_on(found, bundle, choices, out, reporter)
    click.echo(msgspec.json.encode(report).decode() if as_json else table(report, out))
    if report.failures:
        raise ParityError(f"{bundle}: {report.failures[0]}; see {out / 'parity.html'}")


def table(report: Report, out: Path) -> str:
    """What a person wants to see first."""
    lines = [f"{'model':<22}{'library':<18}{'machine':<12}{'same label':>14}{'lost':>6}{'gained':>8}{'moved':>7}"]
    for row in report.rows:
        if row.ships and row.comparison is not None:
            c = row.comparison
            lines.append(
                f"{row.model:<22}{row.interpreter:<18}{row.machine:<12}{f'{c.same} of {c.pictures}':>14}"
                f"{c.count('lost'):>6}{c.count('gained'):>8}{c.count('moved'):>7}"
            )
    exact = [pair for pair in report.equalities if pair.kernels == "reference"]
    if exact:
        equal = sum(pair.equal == pair.outputs for pair in exact)
        lines.append(f"reference kernels: {equal} of {len(exact)} pairs of libraries and machines equal to the bit")
    return "\n".join([*lines, *report.notes, f"{out / 'parity.html'}"])
