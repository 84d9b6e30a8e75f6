"""The plots of the document, as PNG."""

from __future__ import annotations

import io
import itertools
from typing import Any

import msgspec

from edgetl.benchmarks.pretraining_worth import COUNTS, STARTS, gathered, spread
from edgetl.benchmarks.pretraining_worth import Row as WorthRow

HEADROOM = 1.1  # above the highest point, so that its mark is whole
APART = 0.08
_COLOURS = {"litert": "#2a6f97", "onnxruntime": "#b5483a", "tflite-runtime": "#2a7f4f"}


def roofline_plot(found: Any) -> bytes:
    """A bar for each backbone and interpreter, the nearest to the roofline on top."""
    rows = [row for row in found["rows"] if row.get("roofline") is not None]
    names = sorted({row["backbone"] for row in rows}, key=lambda name: _of(rows, name, "litert"))
    interpreters = sorted({row["interpreter"] for row in rows})
    figure, axes = _figure(1, 0.42 * len(names) + 1.2)
    for number, interpreter in enumerate(interpreters):
        shift = (number - (len(interpreters) - 1) / 2) * 0.38
        shares = [100 * _of(rows, name, interpreter) for name in names]
        axes[0].barh(
            [n + shift for n in range(len(names))], shares, 0.36, label=interpreter, color=_COLOURS[interpreter]
        )
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_xlabel("% of the roofline, int8, one thread")
    axes[0].legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(interpreters))  # above the bars
    return _png(figure)


def _of(rows: list[Any], backbone: str, interpreter: str) -> float:
    found = [row["roofline"] for row in rows if (row["backbone"], row["interpreter"]) == (backbone, interpreter)]
    return float(found[0]) if found else 0.0


def growth_plot(found: Any) -> bytes:
    """A panel for each curve: time to the left, memory to the right."""
    curves = found["curves"]
    figure, axes = _figure(len(curves), 2.4 * len(curves))
    for panel, curve in zip(axes, curves, strict=True):
        sizes = [point["size"] for point in curve["points"]]
        panel.plot(sizes, [point["seconds"] for point in curve["points"]], "o-", color=_COLOURS["litert"])
        panel.set_ylim(0, HEADROOM * max(point["seconds"] for point in curve["points"]))
        panel.set_ylabel("s", color=_COLOURS["litert"])
        panel.set_title(f"{curve['what']} against {curve['against']}", fontsize=9, loc="left")
        other = panel.twinx()
        other.plot(sizes, [point["peak_mb"] for point in curve["points"]], "s--", color=_COLOURS["onnxruntime"])
        other.set_ylim(0, HEADROOM * max(point["peak_mb"] for point in curve["points"]))
        other.set_ylabel("MB", color=_COLOURS["onnxruntime"])
    return _png(figure)


def worth_plot(found: Any) -> bytes:
    """Balanced accuracy over pictures a class, with intervals: a column for each set, a row for each way."""
    of = gathered(msgspec.convert(found["rows"], list[WorthRow]))
    ways, sets = (list(dict.fromkeys(key[n] for key in of)) for n in (0, 1))
    figure, panels = _panels(len(ways), len(sets), (3.4 * len(sets), 2.8 * len(ways) + 0.4))
    for panel, (way, data) in zip(panels, itertools.product(ways, sets), strict=True):
        for place, start in enumerate(STARTS):
            counts = [count for count in COUNTS if (way, data, count, start) in of]
            points = [spread(of[way, data, count, start]) for count in counts]
            means, halves = [mean for mean, _ in points], [half for _, half in points]
            across = [COUNTS.index(c) + APART * (place - 1) for c in counts]  # beside each other, so that all are seen
            panel.errorbar(across, means, yerr=halves, marker="o", capsize=3, label=start)
        panel.set_title(f"{data}, {way}", fontsize=9)
        panel.set_visible(any(key[:2] == (way, data) for key in of))
        panel.set_xticks(range(len(COUNTS)), COUNTS)
        panel.set_xlim(-0.3, len(COUNTS) - 0.7)
        panel.grid(alpha=0.3)
        panel.set_xlabel("pictures a class")
    panels[0].set_ylabel("balanced accuracy, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(STARTS), fontsize=9)
    return _png(figure)


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, columns, figsize=size, constrained_layout=True, squeeze=False)
    return figure, list(axes.ravel())


def _figure(panels: int, height: float) -> tuple[Any, list[Any]]:
    return _panels(panels, 1, (8.0, height))


def _png(figure: Any) -> bytes:
    from matplotlib import pyplot

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    return content.getvalue()
