"""Reads the reports of a folder and fills the page."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import jinja2
import msgspec

from edgetl.benchmarks.page.plots import distributions, minutes, ranges, shares
from edgetl.benchmarks.report import Report, read_report, read_samples, verdict
from edgetl.benchmarks.stages import Samples
from edgetl.errors import UsageError


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One report on the page: its file's name, the report, its verdict, and its timings where they lie beside it."""

    name: str
    report: Report
    verdict: str
    samples: Samples


def page_of(folder: Path) -> tuple[list[str], str]:
    """The names of the reports and the page, with its plots in it. Raises UsageError where the folder holds no report."""
    found = [shown for path in sorted(folder.glob("*.json")) if (shown := _shown(path)) is not None]
    if not found:
        raise UsageError(f"{folder}: no reports there; write some with: edgetl bench BUNDLE --out {folder}/NAME.json")
    reports = {shown.name: shown.report for shown in found}
    plots = {
        "Inference of the shipped file, p50 to p99": ranges(reports),
        "Share of the roofline": shares(reports),
        "Frame to verdict, every timing": distributions(
            {shown.name: shown.samples["end_to_end"] for shown in found if "end_to_end" in shown.samples}
        ),
        "Minutes without a pause": minutes(reports),
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("edgetl.benchmarks.page") / "page.html.j2").read_text("utf-8"))
    return list(reports), template.render(found=found, plots={title: svg for title, svg in plots.items() if svg})


def _shown(path: Path) -> Shown | None:
    """None for a file that is no report: other results may lie there too."""
    try:
        report = read_report(path)
    except UsageError:
        return None
    samples = read_samples(path, report) if report.samples and path.with_name(report.samples).is_file() else {}
    return Shown(name=path.stem, report=report, verdict=verdict(report), samples=samples)
