"""What `edgetl bench` found: the record, its file with every timing beside it, and how it is printed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edgetl.benchmarks.accuracy import Accuracy
from edgetl.benchmarks.cold import Cold
from edgetl.benchmarks.judgement import Judgement
from edgetl.benchmarks.roofline.peak import Peak
from edgetl.benchmarks.stages import Samples
from edgetl.benchmarks.sustained import Minute
from edgetl.benchmarks.sweep import Row
from edgetl.benchmarks.timing import WarmUp
from edgetl.errors import UsageError, storage
from edgetl.runtime.files import replacing, write_file


class Report(msgspec.Struct, kw_only=True):
    """Everything that `edgetl bench` found. Stages, end to end, `cold` and `sustained` are of the fastest int8 row. `peaks`:
    what the machine does at its best, for each number of threads. `samples` is the file with every single timing, if one was
    written."""

    bundle: str
    bundle_sha256: str
    quick: bool
    machine: dict[str, str]
    warm_up: WarmUp
    chosen: str
    end_to_end: dict[str, float]
    stages: dict[str, dict[str, float]]
    sweep: list[Row]
    peaks: list[Peak]
    int8_speedup: float | None
    cold: Cold
    accuracy: Accuracy
    sustained: list[Minute]
    judgement: Judgement
    notes: list[str]
    samples: str | None = None


def read_report(path: Path) -> Report:
    """The report in a file of `edgetl bench --out`. Raises UsageError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"{path}: no report of `edgetl bench --out` ({error})") from error


def packed(samples: Samples) -> bytes:
    """Every timing as the bytes of an .npz file."""
    import numpy as np

    arrays: Any = {name: np.asarray(times, np.float32) for name, times in samples.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def keep(report: Report, samples: bytes, out: Path) -> Report:
    """Writes the report and, beside it, every timing. Raises StorageError."""
    path = out.with_suffix(".npz")
    report = msgspec.structs.replace(report, samples=path.name)
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, storage(path), temporary.open("wb") as file:
        file.write(samples)
    write_file(out, msgspec.json.encode(report).decode() + "\n")
    return report


def read_samples(path: Path, report: Report) -> Samples:
    """Every timing of a report. Raises UsageError."""
    import numpy as np

    try:
        with np.load(path.with_name(Path(report.samples or "").name), allow_pickle=False) as arrays:
            return {name: arrays[name].tolist() for name in arrays.files}
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path}: its timings are not beside it ({error})") from error


def text(report: Report) -> str:
    """The report as it is printed."""
    return "\n".join([*_sweep(report), *_stages(report), *_rest(report), verdict(report)])


def verdict(report: Report) -> str:
    """The last line: whether the figures may be quoted, and why not."""
    quick, found = " (quick)" if report.quick else "", report.judgement
    return f"{found.result}{quick}{': ' if found.reasons else ''}{'; '.join(found.reasons)}"


def _sweep(report: Report) -> Iterator[str]:
    where = report.machine
    yield f"{where['processor']} ({where['int8_instructions']}){', quick' if report.quick else ''}"
    columns = "".join(f"{name:>9}" for name in ("p50", "p90", "p99", "max", "load", "first"))
    yield f"{'model':<22}{'interpreter':<16}{'threads':>7}{columns}  ms{'roofline':>11}"
    for row in report.sweep:
        share = "not known" if row.roofline is None else f"{row.roofline:.0%}"
        yield (
            f"{row.model:<22}{row.interpreter:<16}{row.threads:>7}{row.p50_ms:>9.2f}{row.p90_ms:>9.2f}{row.p99_ms:>9.2f}"
            f"{row.max_ms:>9.2f}{row.load_ms:>9.1f}{row.first_ms:>9.1f}{share:>15}"
        )
    for peak in report.peaks:
        yield (
            f"peak with {peak.threads} thread{'s' if peak.threads > 1 else ''}: int8 {peak.int8_gmac_s:.1f}"
            f" ({peak.int8_by}), float32 {peak.float32_gmac_s:.1f} ({peak.float32_by}) 10^9 multiply-accumulates a second"
        )


def _stages(report: Report) -> Iterator[str]:
    columns = "".join(f"{name:>9}" for name in ("p50", "p90", "p99", "max"))
    yield f"\n{f'stages with {report.chosen}, frames of 1280×720 as JPEG':<72}{columns}  ms"
    for name, figures in {**report.stages, "end to end": report.end_to_end}.items():
        yield f"{name:<72}" + "".join(f"{figures[f'{p}_ms']:>9.3f}" for p in ("p50", "p90", "p99", "max"))


def _rest(report: Report) -> Iterator[str]:
    start = report.cold
    yield (
        f"a new process (median of {start.processes}, files in the system's cache): imports {start.import_ms:.0f} ms, model"
        f" {start.load_ms:.0f} ms, first inference {start.first_ms:.1f} ms, all {start.process_ms:.0f} ms"
    )
    for number, minute in enumerate(report.sustained, start=1):
        clock = f", {minute.clock_mhz:.0f} MHz" if minute.clock_mhz else ""
        warmth = f", {minute.temperature_c:.0f} °C" if minute.temperature_c is not None else ""
        slowed = f", {minute.slowed}" if minute.slowed else ""
        yield f"minute {number:>3}: p50 {minute.p50_ms:.3f} ms{clock}{warmth}{slowed}"
    found = report.accuracy
    yield f"golden verdicts changed here: {found.golden_flips} of {found.golden_pictures}"
    if found.balanced_accuracy is not None:
        beside = found.float_balanced_accuracy
        other = "" if beside is None else f", float {beside:.2%}"
        yield f"balanced accuracy of this file here: {found.balanced_accuracy:.2%}{other} ({found.pictures} pictures)"
    if report.int8_speedup is not None:
        yield f"int8 is {report.int8_speedup:.2f} times as fast as float32 here"
