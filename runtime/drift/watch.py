"""The watch over one run: rows in, windows, and for each window what moved. Takes values and returns values.

Two questions, each with a chart for every figure. Has the line *changed* since its own first windows (a lamp that ages,
a lens that gathers dust, another batch)? And is it *outside* what the bundle's pictures looked like, where the model's
accuracy was never measured? The first needs no more than the line, the second is asked from the first window on.
"""

from __future__ import annotations

import math
from collections import deque

from edgetl.runtime.drift.baseline import Baseline, Level
from edgetl.runtime.drift.chart import Band, Chart, limit_for, step
from edgetl.runtime.drift.figures import SIDES, WATCHED, Figure, Row
from edgetl.runtime.drift.report import DriftReport, FigureReport, Kind
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.drift.window import Window, baseline_of, window_of
from edgetl.runtime.reference import Reference, Spread

_RECENT = 120  # windows kept for the page: two hours at one a minute
_FLOOR = 0.05  # of the known standard deviation: the least spread of a window's mean, for lines that hardly vary
_LOW, _HIGH = 0.01, 0.99  # quantiles of the bundle's pictures that bound what is known
_QUESTIONS: tuple[Kind, ...] = ("changed", "outside")


class Watch:
    """Not thread-safe: one thread adds; reports are frozen."""

    def __init__(
        self, settings: DriftSettings, reference: Reference | None, model: str, baseline: Baseline | None = None
    ) -> None:
        self._settings = settings
        self._known = known_spreads(reference)
        self._points = reference.quantile_points if reference is not None else ()
        self._model = model
        self.baseline = baseline
        windows_a_shift = settings.shift_h * 3600 / settings.window_s
        self._limit = limit_for(settings.false_alarms_per_shift, windows_a_shift, SIDES * len(_QUESTIONS))
        self._rows: list[Row] = []
        self._opened_s: float | None = None
        self._learned: list[Window] = []
        self._charts: dict[tuple[str, Kind], Chart] = {}
        self._recent: dict[str, deque[float]] = {}
        self._windows = 0
        self.report = DriftReport(windows_to_learn=self._to_learn())

    def add(self, row: Row, now_s: float) -> bool:
        """Adds a judged picture's figures, at a monotonic time; True when a window closed and `report` is new."""
        if self._opened_s is None:
            self._opened_s = now_s
        self._rows.append(row)
        settings = self._settings
        if len(self._rows) < settings.window_parts or now_s - self._opened_s < settings.window_s:
            return False
        window, self._rows, self._opened_s = window_of(self._rows), [], now_s
        self._close(window)
        return True

    def relearn(self) -> None:
        """Forgets what the line looked like; the next windows say it anew."""
        self.baseline, self._learned, self._charts = None, [], {}
        self.report = DriftReport(windows=self._windows, windows_to_learn=self._to_learn())

    def _close(self, window: Window) -> None:
        self._windows += 1
        figures = tuple(self._judged(figure, window) for figure in WATCHED if figure.name in window.means)
        if self.baseline is None:
            self._learned.append(window)
            if not self._to_learn():
                self.baseline, self._learned = baseline_of(self._learned, self._model), []
        self.report = DriftReport(
            phase="watching" if self.baseline is not None else "learning",
            windows=self._windows, windows_to_learn=self._to_learn(), figures=figures,
        )  # fmt: skip

    def _to_learn(self) -> int:
        return 0 if self.baseline is not None else self._settings.baseline_windows - len(self._learned)

    def _judged(self, figure: Figure, window: Window) -> FigureReport:
        name, now = figure.name, window.means[figure.name]
        level = self.baseline.levels.get(name) if self.baseline is not None else None
        known = self._known.get(name)
        changed = _around(level, known, self._settings.tolerance, self.baseline) if level is not None else None
        outside = Band(_quantile(known, self._points, _LOW), _quantile(known, self._points, _HIGH)) if known else None
        spread = _spread_of(window, name, level, known)
        for question, band in zip(_QUESTIONS, (changed, outside), strict=True):
            if band is not None:
                chart = self._charts.get((name, question), Chart())
                self._charts[name, question] = step(chart, now, spread, _facing(band, figure), self._limit)
        recent = self._recent.setdefault(name, deque(maxlen=_RECENT))
        recent.append(now)
        return FigureReport(
            name=name, said=figure.said, unit=figure.unit, now=now, recent=tuple(recent),
            baseline=level.mean if level else None,
            low=changed.low if changed else None, high=changed.high if changed else None,
            known_low=outside.low if outside else None, known_high=outside.high if outside else None,
            alarm=self._alarm(name),
        )  # fmt: skip

    def _alarm(self, name: str) -> Kind | None:
        """The graver answer: to leave what is known is worse than to change within it."""
        raised: list[Kind] = [q for q in _QUESTIONS if self._charts.get((name, q), Chart()).alarmed]
        return raised[-1] if raised else None


def known_spreads(reference: Reference | None) -> dict[str, Spread]:
    """What a bundle knows of each figure: of the pictures from training, of the answers from held-out pictures."""
    if reference is None:
        return {}
    return {**reference.figures, **(reference.confidence.figures if reference.confidence else {})}


def _around(level: Level, known: Spread | None, tolerance: float, baseline: Baseline | None) -> Band:
    """The band around a line's own mean: the tolerance, and what the baseline itself may be off by (three sigma)."""
    unsure = 3 * level.window_std / math.sqrt(baseline.windows if baseline else 1)
    width = tolerance * (known.std if known else level.std) + unsure
    return Band(level.mean - width, level.mean + width)


def _facing(band: Band, figure: Figure) -> Band:
    """The band with the side open in which a move is no news."""
    low = -math.inf if figure.sense == "up" else band.low
    return Band(low, math.inf if figure.sense == "down" else band.high)


def _spread_of(window: Window, name: str, level: Level | None, known: Spread | None) -> float:
    """The standard deviation of a window's mean on this line."""
    single = (level.std if level else window.stds[name]) / math.sqrt(window.parts)
    least = _FLOOR * known.std if known else 0.0
    return max(single, level.window_std if level else 0.0, least, 1e-9)


def _quantile(known: Spread, points: tuple[float, ...], share: float) -> float:
    return known.quantiles[min(range(len(points)), key=lambda i: abs(points[i] - share))]
