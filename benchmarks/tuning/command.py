"""`edgetl tune`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from edgetl.errors import HealthError, UsageError


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What `edgetl tune` found. `rows`: milliseconds of one inference, the fastest first."""

    bundle: str
    machine: dict[str, str]
    interpreter: str
    threads: int
    median_ms: float
    rows: list[dict[str, object]]
    absent: dict[str, str]
    notes: list[str]
    written: str | None


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--config", type=click.Path(path_type=Path), default=None, metavar="FILE",
    help="The device's settings, /var/lib/edgetl/config.yaml on a device that edgetl set up.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Write the winner into that file; the file before is kept beside it.")
@click.option("--quick", is_flag=True, help="Seconds instead of about a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON line.")
def tune(bundle: Path, config: Path | None, write: bool, quick: bool, as_json: bool) -> None:
    """Find the fastest interpreter and number of threads for a bundle on this device, by measuring.

    All candidates take turns. Whatever gives another verdict than at export for a picture of the golden set is never chosen,
    however fast. Stop the line first: it needs the same processor.
    """
    from edgetl.benchmarks.machine import machine
    from edgetl.benchmarks.sweep import thread_counts
    from edgetl.benchmarks.tuning.candidates import absent, candidates
    from edgetl.benchmarks.tuning.choosing import best, notes
    from edgetl.benchmarks.tuning.device_file import fix
    from edgetl.benchmarks.tuning.measuring import measure
    from edgetl.runtime.bundle import open_bundle
    from edgetl.runtime.config.yaml_record import load_record
    from edgetl.runtime.device_config import DeviceConfig

    if write and config is None:
        raise UsageError("--write needs --config FILE, the device's settings to write into")
    if config is not None:
        load_record(config, DeviceConfig)  # a mistake in it is told before a minute is spent
    with open_bundle(bundle) as opened:
        wanted = candidates(opened)
        rows = measure(opened, wanted, 0.01 if quick else 0.1, lambda line: click.echo(line, err=True))
    chosen = best(rows, max(thread_counts()))
    if chosen is None:
        raise HealthError(
            f"{bundle}: nothing installed here gives the verdicts that it gave at export; see edgetl verify"
        )
    winner, where = chosen.candidate, machine()
    written = write and config is not None and fix(config, winner.interpreter, winner.threads)
    found = Tuned(
        bundle=str(bundle),
        machine=where,
        interpreter=winner.interpreter,
        threads=winner.threads,
        median_ms=round(chosen.p50_ms, 4),
        rows=[
            {
                "interpreter": row.candidate.interpreter, "precision": row.candidate.precision,
                "threads": row.candidate.threads, "median_ms": round(row.p50_ms, 4) if row.rounds_ms else None,
                "turns": len(row.rounds_ms), "flips": row.flips, "trouble": row.trouble,
            }
            for row in sorted(rows, key=lambda row: row.p50_ms)
        ],
        absent=absent(),
        notes=notes(rows, chosen, where),
        written=str(config) if written else None,
    )  # fmt: skip
    click.echo(msgspec.json.encode(found).decode() if as_json else _table(found))


def _table(found: Tuned) -> str:
    lines = [f"{found.machine['processor']} ({found.machine['int8_instructions']})"]
    lines += [f"{'interpreter':<16}{'file':<10}{'threads':>7}{'median':>12}  golden verdicts changed"]
    for row in found.rows:
        took = "cannot run" if row["median_ms"] is None else f"{row['median_ms']:.2f} ms"
        flips = "not proved" if row["flips"] is None else str(row["flips"])
        lines += [f"{row['interpreter']:<16}{row['precision']:<10}{row['threads']:>7}{took:>12}  {flips}"]
    lines += [f"{name}: {reason}" for name, reason in found.absent.items()]
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"best: {found.interpreter}, threads {found.threads}, {found.median_ms:.2f} ms"]
    if found.written:
        lines += [f"written into {found.written}; the file before is {found.written}.previous"]
    return "\n".join(lines)
