"""A comparison for people: a table, and accuracy over latency with the front that no other beats."""

from __future__ import annotations

import io

from edgetl.benchmarks.model_comparison.candidate import Row
from edgetl.benchmarks.model_comparison.comparing import Comparison

_MADE = {"probe": "head alone", "full": "auto", "scratch": "from nothing", "tuned": "auto, tuned"}


def table(found: Comparison) -> str:
    """The ranking as text. `*` marks what no other beats in accuracy, latency and size at once."""
    width = max(len(row.candidate.model) for row in found.rows)
    lines = [
        f"int8 on {found.machine['processor']}; ranked by val, test only tells",
        f"  {'model':<{width}}  {'trained':<24}{'val':>7}{'test, 95 %':>22}{'latency':>11}{'size':>9}{'training':>10}",
    ]
    lines += [_line(row, width, row.candidate.name in found.best) for row in found.rows]
    if found.gain_of_transfer is not None:
        lines.append(f"transfer gained {found.gain_of_transfer:+.1f} points on test over the same model from nothing")
    return "\n".join(lines)


def _line(row: Row, width: int, best: bool) -> str:
    how = _MADE[row.candidate.way] + (f" ({row.recipe})" if row.candidate.way in ("full", "tuned") else "")
    start = f"{'*' if best else ' '} {row.candidate.model:<{width}}  {how:<24}"
    if not row.complete:
        return f"{start}  {row.trouble or 'not measured'}"
    test = (
        "" if row.test is None else f"{100 * row.test:.1f} ({100 * (row.low or 0):.1f} to {100 * (row.high or 0):.1f})"
    )
    return (
        f"{start}{100 * (row.val or 0):>7.1f}{test:>22}{row.latency_ms:>8.2f} ms{(row.bytes or 0) / 1e6:>6.2f} MB"
        f"{row.train_s:>8.0f} s"
    )


def plot(found: Comparison) -> bytes:
    """Balanced accuracy on val over latency as PNG; the area of a dot is the file's size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in found.rows if row.complete]
    figure, axes = pyplot.subplots(figsize=(8, 5), constrained_layout=True)
    middle_ms = (min(r.latency_ms or 0.0 for r in rows) + max(r.latency_ms or 0.0 for r in rows)) / 2
    for row in rows:
        best = row.candidate.name in found.best
        x, y = row.latency_ms or 0.0, 100 * (row.val or 0.0)
        axes.scatter(x, y, s=20 + (row.bytes or 0) / 2e4, color="#2a6f97" if best else "#b9c4cc", zorder=2)
        label = f"{row.candidate.model}, {_MADE[row.candidate.way]}"
        # Towards the middle, so that no label leaves the plot, and on that side of the rising front where it is free.
        place, to = ((-10, 10), "right") if x > middle_ms else ((10, -12), "left")
        axes.annotate(label, (x, y), xytext=place, textcoords="offset points", fontsize=8, ha=to)
    front = sorted((r.latency_ms or 0.0, 100 * (r.val or 0.0)) for r in rows if r.candidate.name in found.best)
    axes.plot([x for x, _ in front], [y for _, y in front], color="#2a6f97", linewidth=1, zorder=1)
    axes.set_xlabel("latency of one inference here, int8, ms (p50)")
    axes.set_ylabel("balanced accuracy on val, int8, %")
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    pyplot.close(figure)
    return content.getvalue()
