"""The check as one page that needs nothing beside it."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from edgetl.errors import PictureError
from edgetl.runtime.files import write_file
from edgetl.runtime.picture import read_picture
from edgetl.trainer.datacheck.check import FEWEST, Check
from edgetl.trainer.datacheck.curve import Curve, Needed, Point
from edgetl.trainer.inline import inlined

THUMBNAILS = 24  # a finding; the JSON has all paths
GROUPS = 8
_SIDE = 160
_BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def write_report(check: Check, out: Path) -> None:
    """Writes the page. Raises StorageError."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((files("edgetl.trainer.datacheck") / "report.html.j2").read_text())
    curves = check.curves
    page = template.render(
        check=check, curves=curves, by_class={c.name: c for c in curves[1:]}, band=band, need=need, limit=THUMBNAILS,
        groups_limit=GROUPS, thumb=lambda path: _thumbnail(Path(check.data) / path),
        chart=Markup(chart(curves[0])) if curves else "", advice=advice(curves) if curves else "",
        left_out=left_out(check.too_few, check.pictures) if check.too_few else "",
    )  # fmt: skip
    write_file(out, page)


def band(point: Point) -> str:
    """A point's band in words, in per cent."""
    return f"{100 * point.low:.0f} to {100 * point.high:.0f} %"


def advice(curves: list[Curve]) -> str:
    """What the curves say about collecting more, in one or two sentences."""
    now, doubled, _ = curves[0].expected
    gain = 100 * (doubled.mean - now.mean)
    if gain < 1:
        text = "Twice as many pictures like these would bring less than one point; other light, other parts or a better view may bring more."
    else:
        text = f"Twice as many pictures would bring about {gain:.0f} points of balanced accuracy ({band(doubled)})."
    weakest = min(curves[1:], key=lambda c: c.measured[-1].mean)
    return f"{text} The weakest class is {weakest.name}: {100 * weakest.measured[-1].mean:.0f} % recall now; twice as many of it: {band(weakest.expected[1])}."


def needs(curves: list[Curve], pictures: dict[str, int]) -> list[str]:
    """A line a class: how many pictures of it the asked recall takes, by its own curve, and how many there are."""
    return [
        f"{curve.name} has {pictures[curve.name]} pictures; {need(curve.needed, curve.measured[0].pictures)}"
        for curve in curves[1:]
    ]


def left_out(too_few: list[str], pictures: dict[str, int]) -> str:
    """Which classes doubtful labels and learning curves say nothing of, in words."""
    told = ", ".join(f"{label} ({pictures[label]})" for label in too_few)
    return f"doubtful labels and learning curves leave out what has fewer than {FEWEST} pictures: {told}"


def need(needed: Needed, fewest: float) -> str:
    """How many pictures of a class it takes, in words. `fewest`: with how many it was tried; of less nothing is known."""
    wanted = f"{100 * needed.reach:.4g} % recall"
    if needed.low is None:
        return f"{wanted} is out of reach of more pictures like these; other light, another view or a finer net may reach it"
    if needed.pictures is None:
        return f"{wanted} may take as few as {needed.low}, or more than these pictures can tell of"
    upper = str(needed.high) if needed.high is not None else "more than can be said"
    if needed.pictures <= math.ceil(fewest):
        return f"{wanted} takes {needed.pictures} or fewer" + (
            f" (to {upper})" if needed.high != needed.pictures else ""
        )
    return f"{wanted} takes about {needed.pictures} ({needed.low} to {upper})"


def _thumbnail(path: Path) -> str:
    try:
        image = read_picture(path)
    except PictureError:
        return _BLANK
    return inlined(image, _SIDE)


def chart(curve: Curve) -> str:
    """The curve as SVG: measured points with their range, and the band of what is expected."""
    points = [*curve.measured, *curve.expected]
    left, right = math.log(points[0].pictures), math.log(points[-1].pictures)
    bottom = max(0.0, min(p.low for p in points) - 0.05)
    wide, high, margin = 640, 264, 46

    def x(pictures: float) -> float:
        return margin + (wide - 2 * margin) * (math.log(pictures) - left) / max(1e-9, right - left)

    def y(accuracy: float) -> float:
        return high - 44 - (high - 64) * (accuracy - bottom) / max(1e-9, 1 - bottom)

    grid = "".join(
        f'<line x1="{margin}" x2="{wide - margin}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="currentColor" opacity=".15"/>'
        f'<text x="{margin - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{100 * v:.0f} %</text>'
        for v in np.arange(math.ceil(10 * bottom), 11) / 10
    )
    bars = "".join(
        f'<line x1="{x(p.pictures):.1f}" x2="{x(p.pictures):.1f}" y1="{y(p.low):.1f}" y2="{y(p.high):.1f}" stroke="#2f6fdf" stroke-width="2"/>'
        f'<circle cx="{x(p.pictures):.1f}" cy="{y(p.mean):.1f}" r="4" fill="#2f6fdf"/>'
        for p in curve.measured
    )
    upper = " ".join(f"{x(p.pictures):.1f},{y(p.high):.1f}" for p in curve.expected)
    lower = " ".join(f"{x(p.pictures):.1f},{y(p.low):.1f}" for p in reversed(curve.expected))
    middle = " ".join(f"{x(p.pictures):.1f},{y(p.mean):.1f}" for p in curve.expected)
    ticks = "".join(
        f'<text x="{x(p.pictures):.1f}" y="{high - 24}" text-anchor="middle">{p.pictures:.0f}</text>'
        for p in [*curve.measured, *curve.expected[1:]]
    )
    return (
        f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="balanced accuracy by number of pictures">{grid}'
        f'<polygon points="{upper} {lower}" fill="#2f6fdf" opacity=".18"/>'
        f'<polyline points="{middle}" fill="none" stroke="#2f6fdf" stroke-dasharray="5 4"/>{bars}{ticks}'
        f'<text x="{wide - margin}" y="{high - 6}" text-anchor="end">pictures</text></svg>'
    )
