"""The plots of the page, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from edgetl.benchmarks.report import Report
from edgetl.benchmarks.sweep import Row

COLOURS = ("#2a6f97", "#b5483a", "#2a7f4f", "#8a5a9e", "#b8860b", "#555555")


def ranges(reports: Mapping[str, Report]) -> str:
    """A line for each report and row that is not float: a dot at p50 and a line on to p99, milliseconds."""
    rows = _quantized(reports)
    if not rows:
        return ""
    figure, axes = _axes(0.34 * len(rows) + 1.0)
    for place, (_, row) in enumerate(rows):
        axes.plot([row.p50_ms, row.p99_ms], [place, place], color=COLOURS[0], linewidth=2, alpha=0.5)
        axes.plot([row.p50_ms], [place], "o", color=COLOURS[0])
    _named(axes, rows, "milliseconds")
    return _svg(figure)


def shares(reports: Mapping[str, Report]) -> str:
    """A bar for each report and row that is not float, where the ceiling is known."""
    rows = [(name, row) for name, row in _quantized(reports) if row.roofline is not None]
    if not rows:
        return ""
    figure, axes = _axes(0.34 * len(rows) + 1.0)
    axes.barh(range(len(rows)), [100 * (row.roofline or 0.0) for _, row in rows], color=COLOURS[0])
    _named(axes, rows, "% of what the machine could do")
    return _svg(figure)


def distributions(series: Mapping[str, Sequence[float]]) -> str:
    """For each report, the share of frames (up) that were done within so many milliseconds (right, by powers of ten)."""
    import numpy as np

    if not series:
        return ""
    figure, axes = _axes(3.4)
    for number, (name, times) in enumerate(series.items()):
        ordered = np.sort(np.asarray(times))
        axes.plot(ordered, np.linspace(0, 100, len(ordered)), label=name, color=COLOURS[number % len(COLOURS)])
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("% of frames")
    axes.legend(frameon=False)
    return _svg(figure)


def minutes(reports: Mapping[str, Report]) -> str:
    """The medians of the sustained minutes, for the reports that have some."""
    told = {name: report.sustained for name, report in reports.items() if report.sustained}
    if not told:
        return ""
    figure, axes = _axes(3.0)
    for number, (name, sustained) in enumerate(told.items()):
        medians = [minute.p50_ms for minute in sustained]
        axes.plot(range(1, len(medians) + 1), medians, "o-", label=name, color=COLOURS[number % len(COLOURS)])
    axes.set_xlabel("minute")
    axes.set_ylabel("p50, milliseconds")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure)


def _quantized(reports: Mapping[str, Report]) -> list[tuple[str, Row]]:
    return [(name, row) for name, report in reports.items() for row in report.sweep if row.precision != "float32"]


def _named(axes: Any, rows: Sequence[tuple[str, Row]], label: str) -> None:
    axes.set_yticks(range(len(rows)), [f"{name}: {row.series}" for name, row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(label)


def _axes(height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.0, height), constrained_layout=True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return content.getvalue()[content.getvalue().index("<svg") :]
