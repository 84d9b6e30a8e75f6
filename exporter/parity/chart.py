"""The one chart of the report, as SVG: how sure the network was, and how sure the model is of the same label."""

from __future__ import annotations

import math
from collections.abc import Iterator

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 460, 300, 44, 34, 10
_TICKS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


def margin_chart(margins: tuple[tuple[float, float, bool], ...]) -> str:
    """Dots at the network's lead (right) and the model's lead for the same label (up); red where it changed.

    Both axes go by the square root, which spreads the doubtful pictures near zero.
    """
    if not margins:
        return ""
    most = max(max(a, abs(b)) for a, b, _ in margins) or 1.0
    least = min(0.0, min(b for _, b, _ in margins))
    scale = _Scale(most, max(abs(least), 0.04 * most))
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Lead of the label in the network and in the model">',
        f'<rect class="flipped" x="{_LEFT}" y="{scale.y(0):.1f}" width="{_WIDTH - _LEFT}" '
        f'height="{_HEIGHT - _BOTTOM - scale.y(0):.1f}"/>',
        *_axes(scale, most),
        *(_dot(scale, *margin) for margin in sorted(margins, key=lambda m: m[2])),
        f'<text class="flip" x="{_WIDTH - 12}" y="{_HEIGHT - _BOTTOM - 5}">label changed</text>',
        "</svg>",
    ]
    return "".join(parts)


class _Scale:
    """From leads to places in the picture."""

    def __init__(self, most: float, below: float) -> None:
        self._x = (_WIDTH - _LEFT - 8) / math.sqrt(most)
        self._y = (_HEIGHT - _BOTTOM - _TOP) / (math.sqrt(most) + math.sqrt(below) * 1.15)
        self._zero = _TOP + self._y * math.sqrt(most)

    def x(self, lead: float) -> float:
        """Pixels from the left."""
        return _LEFT + self._x * math.sqrt(max(lead, 0.0))

    def y(self, lead: float) -> float:
        """Pixels from the top."""
        return self._zero - self._y * math.copysign(math.sqrt(abs(lead)), lead)


def _axes(scale: _Scale, most: float) -> Iterator[str]:
    right, bottom = _WIDTH - 8, _HEIGHT - _BOTTOM
    yield f'<path class="same" d="M{scale.x(0):.1f} {scale.y(0):.1f}L{scale.x(most):.1f} {scale.y(most):.1f}"/>'
    yield f'<path class="axis" d="M{_LEFT} {scale.y(0):.1f}H{right}M{_LEFT} {_TOP}V{bottom}"/>'
    for tick in _spaced([t for t in _TICKS if t <= most]):
        yield f'<text class="x" x="{scale.x(tick):.1f}" y="{bottom + 14}">{tick:g}</text>'
        yield f'<text class="y" x="{_LEFT - 6}" y="{scale.y(tick) + 4:.1f}">{tick:g}</text>'
    yield f'<text class="y" x="{_LEFT - 6}" y="{scale.y(0) + 4:.1f}">0</text>'
    yield f'<text class="x" x="{(right + _LEFT) / 2:.0f}" y="{_HEIGHT - 4}">lead in the trained network (logits)</text>'


def _spaced(ticks: list[float]) -> list[float]:
    """The ticks that do not run into each other: from the largest down, each less than 0.45 of the last."""
    kept: list[float] = []
    for tick in reversed(ticks):
        if not kept or tick < 0.45 * kept[-1]:
            kept.append(tick)
    return kept


def _dot(scale: _Scale, network: float, model: float, changed: bool) -> str:
    kind, radius = ("dot lost", 4) if changed else ("dot", 2.6)
    return f'<circle class="{kind}" cx="{scale.x(network):.1f}" cy="{scale.y(model):.1f}" r="{radius}"/>'
