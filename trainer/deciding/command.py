"""`edgetl decide`."""

from __future__ import annotations

import math
from pathlib import Path

import click
import msgspec

from edgetl.errors import UsageError
from edgetl.trainer.share import share


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--max-escape", callback=share, metavar="SHARE", help="Of the bad parts, at most so many may pass: 0.1%.")
@click.option("--cost-escape", type=click.FloatRange(0, min_open=True), help="What a bad part that passes costs.")
@click.option("--cost-false-alarm", type=click.FloatRange(0, min_open=True), help="What a good part rejected costs.")
@click.option("--cost-look", type=click.FloatRange(0, min_open=True), help="What a person's look at a part costs.")
@click.option("--data", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Where the run's pictures are now.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the account as one JSON line.")
def decide(
    run: Path, max_escape: float | None, cost_escape: float | None, cost_false_alarm: float | None,
    cost_look: float | None, data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Choose when a part is OK, NG or UNKNOWN, from what mistakes cost.

    The limits are chosen on val with calibrated chances and judged on test; the run's bundles carry them, and RUN/report.html
    is written again with what they come to.
    """
    from edgetl.trainer.deciding.deciding import Wanted, decide_run
    from edgetl.trainer.deciding.limits import Costs
    from edgetl.trainer.progress import ConsoleReporter
    from edgetl.trainer.reporting.page import write_report
    from edgetl.trainer.reporting.split import split_of
    from edgetl.trainer.run_folder import read_run

    costs = None
    for flag, cost in (("escape", cost_escape), ("false-alarm", cost_false_alarm), ("look", cost_look)):
        if cost is not None and not math.isfinite(cost):
            raise UsageError(f"--cost-{flag} {cost:g}: not a number")
    if max_escape is not None and any(cost is not None for cost in (cost_escape, cost_false_alarm, cost_look)):
        raise UsageError("--max-escape and costs are two ways to say what is wanted; leave one of them out")
    if cost_escape is not None and cost_false_alarm is not None:
        costs = Costs(cost_escape, cost_false_alarm, cost_look)
    if max_escape is None and costs is None:
        raise UsageError("say what is wanted: either --max-escape, or both --cost-escape and --cost-false-alarm")
    with ConsoleReporter() as reporter:
        found = decide_run(run, Wanted(max_escape, costs), data, reporter)
        decided = read_run(run)
        write_report(decided, split_of(decided, data or Path(decided.settings.data), "val", reporter.say))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    click.echo(f"temperature {found.temperature:g}; calibration error {found.calibration_error_before:.3f} before, "
               f"{found.calibration_error_after:.3f} after (val)")  # fmt: skip
    click.echo(f"OK up to a {found.limits.ok_below:.2%} chance of being bad, NG from {found.limits.ng_above:.2%}")
    for name, split in (("val", found.val), ("test", found.test)):
        if split is not None:
            click.echo(f"{name:<5}" + ", ".join(
                f"{what} {r.count} of {r.of} (at most {r.at_most:.1%})"
                for what, r in (("escapes", split.escapes), ("false alarms", split.false_alarms), ("unknown", split.unknown))
            ))  # fmt: skip
    if found.bad_parts_needed is not None and found.bad_parts < found.bad_parts_needed:
        known = found.test.escapes.count if found.test else 0
        without = f"without one escape beside the {known} of test" if known else "without one escape"
        click.echo(f"to claim at most {max_escape:.2%} with 95 % confidence, {found.bad_parts_needed} bad parts must be judged "
                   f"{without}; test has {found.bad_parts}: {found.bad_parts_needed - found.bad_parts} more")  # fmt: skip
