"""What is told of drift: for each figure where it is and may be, and in words what moved."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.runtime.drift.figures import Figure

Kind = Literal["changed", "outside"]


class FigureReport(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: the newest window's mean, the line's own baseline with the band that is allowed around it, and the
    range of the bundle's pictures (1 % to 99 %). None where it is not known yet, or not in the bundle.

    `alarm`: `changed`, it left the band around the baseline; `outside`, it left what the model was trained on.
    """

    name: str
    said: str
    unit: str
    now: float
    baseline: float | None
    low: float | None
    high: float | None
    known_low: float | None
    known_high: float | None
    alarm: Kind | None
    recent: tuple[float, ...]


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """`learning` the line's baseline for so many more windows, or `watching`; false alarms are as the settings ask."""

    phase: Literal["learning", "watching"] = "learning"
    windows: int = 0
    windows_to_learn: int = 0
    figures: tuple[FigureReport, ...] = ()

    @property
    def alarms(self) -> tuple[FigureReport, ...]:
        """The figures that moved."""
        return tuple(f for f in self.figures if f.alarm is not None)


def said(report: DriftReport) -> str:
    """What moved and by how much, in one line; empty when nothing did."""
    return "; ".join(_said(figure) for figure in report.alarms)


def _said(figure: FigureReport) -> str:
    unit = f" {figure.unit}" if figure.unit else ""
    was = figure.baseline
    if figure.low is not None and figure.high is not None and figure.low <= figure.now <= figure.high:
        return f"{figure.said} is coming back: {_number(figure.now)}{unit}"
    if was is not None and (figure.alarm == "changed" or _left(figure, was)):
        moved = (
            f"{figure.said} {'rose' if figure.now > was else 'fell'} from {_number(was)} to {_number(figure.now)}{unit}"
        )
    else:
        moved = f"{figure.said} is {_number(figure.now)}{unit}"
    if figure.known_low is None or figure.known_high is None:
        return moved
    where = "within" if figure.known_low <= figure.now <= figure.known_high else "outside"
    return f"{moved}, {where} the {_number(figure.known_low)} to {_number(figure.known_high)} of the bundle's pictures"


def _left(figure: FigureReport, was: float) -> bool:
    """Whether the line itself left what is known, or never was within it."""
    return (
        figure.known_low is not None and figure.known_high is not None and figure.known_low <= was <= figure.known_high
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def reported(figure: Figure, now: float, recent: tuple[float, ...]) -> FigureReport:
    """A figure of which nothing but its value is known."""
    return FigureReport(
        name=figure.name, said=figure.said, unit=figure.unit, now=now, recent=recent, baseline=None, low=None,
        high=None, known_low=None, known_high=None, alarm=None,
    )  # fmt: skip
