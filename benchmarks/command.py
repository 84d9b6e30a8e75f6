"""`edgetl bench`, with `edgetl bench compare`, `check` and `page`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edgetl.errors import UsageError

if TYPE_CHECKING:
    from edgetl.benchmarks.latency import Wanted
    from edgetl.benchmarks.report import Report


class _BundleFirst(click.Group):
    """`bench BUNDLE` is `bench measure BUNDLE`: what is wanted nearly always needs no word of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = ["measure", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_BundleFirst)
def bench() -> None:
    """Latency per stage and end to end, float beside int8, and how near it is to what the machine can do: `edgetl bench BUNDLE`."""


@bench.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="About a second a row instead of a minute; the report is marked as quick.")
@click.option("--sustained", "minutes", type=click.IntRange(0, 24 * 60), default=0, metavar="MINUTES",
              help="Then work so long without a pause, and tell each minute.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), default=None, metavar="DIR",
              help="Also judge the file by the test pictures of a data set, here.")  # fmt: skip
@click.option(
    "--budget-ms", type=click.FloatRange(0, min_open=True), default=None, help="FAIL where p90 end to end is more."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, metavar="FILE",
    help="Also write the report there, as JSON, and every single timing beside it, as .npz.",
)  # fmt: skip
@click.option("--on", "host", default=None, metavar="HOST",
              help="Measure on that device, over SSH: the bundle is carried there and removed again.")  # fmt: skip
@click.option("--agent", default="edgetl", show_default=True, metavar="COMMAND",
              help="With --on: the command of edgetl on the device.")  # fmt: skip
@click.option("--ssh-config", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="With --on: in place of ~/.ssh/config.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON line.")
def measure(
    bundle: Path, quick: bool, minutes: int, data: Path | None, budget_ms: float | None, out: Path | None,
    host: str | None, agent: str, ssh_config: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Time every stage of a bundle and say whether the figures may be quoted.

    INVALID: something slowed the machine down, or the times did not settle. FAIL: golden verdicts are others here, int8 loses
    more than a point on --data, or the budget is passed. The exit code is then 1. Without --data the best that is said is PASS
    (speed only): nobody looked what int8 tells apart here.
    """
    from edgetl.benchmarks.latency import Wanted
    from edgetl.benchmarks.report import keep, text
    from edgetl.benchmarks.timing import FULL, QUICK

    if host is None:
        report, samples = _here(bundle, Wanted(QUICK if quick else FULL, minutes, data, budget_ms))
    else:
        from edgetl.benchmarks.remote import Asked, bench_on
        from edgetl.flasher.transport import Ssh

        if data is not None:
            raise UsageError("--data stays here: --on carries the bundle to the device, and no pictures")
        device = Ssh(host, agent, ["-F", str(ssh_config)] if ssh_config is not None else [])
        click.echo(f"measuring on {host}; what it says meanwhile comes at its end", err=True)
        report, samples = bench_on(device, bundle, Asked(agent, quick, minutes, budget_ms))
    if out is not None:
        report = keep(report, samples, out)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        for note in report.notes:
            click.echo(f"note: {note}", err=True)
        click.echo(text(report))
    return 0 if report.judgement.passed else 1


def _here(bundle: Path, wanted: Wanted) -> tuple[Report, bytes]:
    """Measures on this machine."""
    from edgetl.benchmarks.latency import bench as bench_bundle
    from edgetl.benchmarks.report import packed
    from edgetl.runtime.bundle import open_bundle

    with open_bundle(bundle) as opened:
        report, samples = bench_bundle(opened, wanted, lambda line: click.echo(line, err=True))
    return report, packed(samples)


@bench.command("compare")
@click.argument("first", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("second", metavar="B.json", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON line.")
def compare_reports(first: Path, second: Path, as_json: bool) -> None:
    """Compare two reports of `bench --out`, stage by stage, by every timing in them.

    The ratio of the medians with its 95 % interval; different is what lies wholly beyond 3 %, by which two runs on a quiet
    machine may differ for no reason. Where bundle or machine are not the same, a warning says so.
    """
    from edgetl.benchmarks.comparing import compare, warnings
    from edgetl.benchmarks.report import read_report, read_samples

    reports = read_report(first), read_report(second)
    one, two = read_samples(first, reports[0]), read_samples(second, reports[1])
    try:
        found = {name: compare(one[name], two[name]) for name in one if name in two}
    except ValueError as error:
        raise UsageError(f"{first}, {second}: {error}") from error
    warned = warnings(*reports)
    if as_json:
        click.echo(msgspec.json.encode({"warnings": warned, "series": found}).decode())
        return
    for warning in warned:
        click.echo(f"warning: {warning}", err=True)
    width = max(map(len, found), default=0) + 2
    click.echo(f"{'':<{width}}{'B / A':>8}{'95 % interval':>20}")
    for name, c in found.items():
        said = ("faster" if c.ratio < 1 else "slower") if c.differ else "no difference"
        click.echo(f"{name:<{width}}{c.ratio:>8.3f}{c.low:>12.3f} {c.high:>7.3f}   {said}")


@bench.command("check")
@click.argument("report", type=click.Path(path_type=Path))
@click.option("--references", type=click.Path(path_type=Path), default=None, metavar="DIR",
              help="Where reference figures lie, a file for each kind of machine; edgetl brings some.")  # fmt: skip
@click.option("--keep", is_flag=True, help="Make this report's figures the reference for its kind of machine.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON line.")
def check_report(report: Path, references: Path | None, keep: bool, as_json: bool) -> int:
    """Check a report of `bench --out` against the reference figures of its kind of machine.

    What is slower than its reference, and what is too much faster to be believed, makes the exit code 1.
    """
    from edgetl.benchmarks.reference import FOLDER, check, keep_reference, read_reference
    from edgetl.benchmarks.report import read_report

    found, folder = read_report(report), references or FOLDER
    if keep:
        kept = str(keep_reference(found, folder))
        click.echo(msgspec.json.encode({"kept": kept}).decode() if as_json else f"kept in {kept}")
        return 0
    checked = check(found, read_reference(found, folder))
    if as_json:
        click.echo(msgspec.json.encode(checked).decode())
    else:
        for note in checked.notes:
            click.echo(f"note: {note}", err=True)
        for row in checked.rows:
            click.echo(f"{row.series:<44}{row.reference_ms:>10.3f}{row.p50_ms:>10.3f}{row.ratio:>8.3f}  {row.said}")
    return 0 if checked.passed else 1


@bench.command("page")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.html", help="Where to write it.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def write_page(folder: Path, out: Path, as_json: bool) -> None:
    """Write one page of all reports in a folder, with plots."""
    from edgetl.benchmarks.page import page_of
    from edgetl.runtime.files import write_file

    reports, page = page_of(folder)
    write_file(out, page)
    found = {"out": str(out), "reports": reports}
    click.echo(msgspec.json.encode(found).decode() if as_json else f"{out}: {len(reports)} reports")
