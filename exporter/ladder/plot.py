"""Draws a climb: what each rung lost against float, with its intervals, and the limits of the gate."""

from __future__ import annotations

import io
from typing import Any

from edgetl.exporter.ladder.climb import Attempt, Climb
from edgetl.exporter.ladder.gate import Limits, Outcome, allowed

PASSED, REFUSED, LIMIT = "#2a7f4f", "#b5483a", "#444444"


def draw(climb: Climb, limits: Limits) -> bytes:
    """The plot as PNG: a column for each rung; flips above, recall lost by the worst class below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (flips, recall) = pyplot.subplots(
        2, 1, sharex=True, figsize=(max(5.0, 1.5 * len(climb.attempts) + 1.5), 5.6), constrained_layout=True
    )
    for column, attempt in enumerate(climb.attempts):
        for outcome, shift in zip(attempt.outcomes, _shifts(len(attempt.outcomes)), strict=True):
            _point(flips, column + shift, (outcome.flips_percent, outcome.flips_low, outcome.flips_high), outcome)
            worst = outcome.worst[1]
            _point(recall, column + shift, (worst.points, worst.low, worst.high), outcome)
        if attempt.error:
            flips.text(column, 0, "not possible", rotation=90, ha="center", va="bottom", color=REFUSED)
    outcomes = [outcome for attempt in climb.attempts for outcome in attempt.outcomes]
    one_of_all = max((100 / o.pictures for o in outcomes), default=0.0)
    one_of_class = max((o.worst[1].finest for o in outcomes), default=0.0)
    _axis(flips, limits.max_flips, one_of_all, "decisions flipped, %")
    _axis(recall, limits.max_recall_loss, one_of_class, "recall lost by the worst class, points")
    recall.set_xticks(range(len(climb.attempts)), [_name(a) for a in climb.attempts])
    recall.set_xlim(-0.6, len(climb.attempts) - 0.4)
    pictures = outcomes[0].pictures if outcomes else 0
    chosen = f"{climb.chosen} ships" if climb.chosen else f"none passed ({climb.ended})"
    figure.suptitle(f"Quantization ladder on {pictures} acceptance pictures: {chosen}\n(● TFLite, ■ ONNX)", fontsize=10)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    return data.getvalue()


def _shifts(n: int) -> list[float]:
    return [0.22 * (i - (n - 1) / 2) for i in range(n)]


def _point(axis: Any, x: float, values: tuple[float, float, float], outcome: Outcome) -> None:
    """One model's figure with its interval; a circle for TFLite, a square for ONNX."""
    value, low, high = values
    colour = PASSED if outcome.passed else REFUSED
    marker = "s" if outcome.model.endswith(".onnx") else "o"
    axis.plot([x, x], [low, high], color=colour, linewidth=1.2, alpha=0.6)
    axis.plot([x], [value], marker, color=colour, markersize=6, clip_on=False, zorder=3)


def _axis(axis: Any, limit: float, one_picture: float, title: str) -> None:
    """The line is what the gate allows: where one picture weighs more than the limit, one picture."""
    line = allowed(limit, one_picture)
    said = f"limit {limit:g}" + (f"; one picture, {one_picture:.2g}, is allowed" if one_picture > limit > 0 else "")
    axis.axhline(line, color=LIMIT, linestyle="--", linewidth=0.9)
    place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 5), "textcoords": "offset points"}
    axis.annotate(said, (1, line), ha="right", va="bottom", fontsize=8, **place)
    axis.set_ylabel(title, fontsize=8)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _name(attempt: Attempt) -> str:
    size = next((f"\n{n / 1e6:.2f} MB" for path, n in attempt.bytes.items() if path.endswith(".tflite")), "")
    return f"{attempt.rung}\n{attempt.seconds:.0f} s{size}"
