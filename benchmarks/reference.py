"""Reference figures by kind of machine, and whether a report is slower than them, or faster than can be believed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.benchmarks.machine import differences, kind_of
from edgetl.benchmarks.report import Report
from edgetl.errors import UsageError
from edgetl.runtime.files import write_file

FOLDER = Path(__file__).parent / "results" / "reference"
SLOWER = 1.10  # a regression
FASTER = 0.80  # too good to be true: libraries seldom gain a fifth, a mistake in the measurement often does
_POSSIBLE = 1.05  # of the roofline, whose peaks are measured as well


class ReferenceRow(msgspec.Struct, frozen=True):
    """The median of one graph, whatever its weights, in one interpreter with one number of threads."""

    graph: str
    series: str
    p50_ms: float


class Reference(msgspec.Struct, frozen=True):
    """What machines of one kind took, and the one that was measured."""

    machine: dict[str, str]
    rows: list[ReferenceRow]


class CheckedRow(msgspec.Struct, frozen=True):
    """One figure beside its reference; `said` is `as it was` or what is the matter."""

    series: str
    reference_ms: float
    p50_ms: float
    ratio: float
    said: str


class Checked(msgspec.Struct, frozen=True):
    """All figures that have a reference."""

    passed: bool
    rows: list[CheckedRow]
    notes: list[str]


def read_reference(report: Report, folder: Path) -> Reference:
    """The reference of the report's kind of machine. Raises UsageError where there is none."""
    path = _path(report, folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Reference)
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: no reference figures for this kind of machine; a report becomes one by: edgetl bench check REPORT --keep"
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"{path}: no reference figures ({error})") from error


def check(report: Report, reference: Reference) -> Checked:
    """Every row of the report that has a reference. Raises UsageError where none has."""
    known = {(row.graph, row.series): row.p50_ms for row in reference.rows}
    rows = []
    for row in report.sweep:
        before = known.get((row.graph or "", row.series))
        if before is not None:
            ratio = row.p50_ms / before
            impossible = row.roofline is not None and row.roofline > _POSSIBLE
            rows.append(CheckedRow(row.series, before, row.p50_ms, round(ratio, 4), _said(ratio, impossible)))
    if not rows:
        raise UsageError(f"{report.bundle}: none of its graphs has reference figures; a report becomes one by --keep")
    notes = [f"not as in the reference: {said}" for said in differences(reference.machine, report.machine)]
    if report.quick:
        notes.append("a quick report: its medians vary more than those of a full one")
    return Checked(all(row.said == "as it was" for row in rows), rows, notes)


def _said(ratio: float, impossible: bool) -> str:
    if impossible:
        return "too good to be true: faster than the roofline"
    if ratio < FASTER:
        return "too good to be true: look what else changed, then --keep"
    return "slower: a regression" if ratio > SLOWER else "as it was"


def keep_reference(report: Report, folder: Path) -> Path:
    """Puts the report's figures into the file of its kind of machine; other graphs' figures stay. Raises UsageError for
    figures that must not be quoted."""
    if report.judgement.result == "INVALID":
        raise UsageError(
            f"{report.bundle}: INVALID ({'; '.join(report.judgement.reasons)}): such figures are no reference"
        )
    path = _path(report, folder)
    kept = read_reference(report, folder).rows if path.is_file() else []
    new = [ReferenceRow(row.graph, row.series, row.p50_ms) for row in report.sweep if row.graph is not None]
    replaced = {(row.graph, row.series) for row in new}
    rows = [row for row in kept if (row.graph, row.series) not in replaced] + new
    text = msgspec.json.format(msgspec.json.encode(Reference(report.machine, rows)), indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text + b"\n")
    return path


def _path(report: Report, folder: Path) -> Path:
    return folder / f"{kind_of(report.machine)}.json"
