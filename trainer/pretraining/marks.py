"""Defects and marks, each laid on one small place of a part: what a picture's main label names."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import msgspec
import numpy as np

from edgetl.runtime.sim import noise
from edgetl.runtime.sim.noise import Field
from edgetl.trainer.pretraining.shapes import Form, Mask, Points, cover, disc, fixed

Random = np.random.Generator

MARKS = ("none", "scratch", "crack", "pit", "chip", "stain", "missing_hole", "print")


class Workpiece(msgspec.Struct):
    """A part while it is drawn: `solid` side×side mask, `skin` side×side×3 float RGB, `touched` where a mark lies."""

    form: Form
    solid: Mask
    skin: Field
    touched: Mask

    @property
    def side(self) -> int:
        return len(self.solid)

    @property
    def shape(self) -> tuple[int, int]:
        return (self.side, self.side)


def possible_marks(form: Form) -> tuple[str, ...]:
    """The marks that this part can carry: chips need an edge, and a missing hole needs others beside it."""
    has = {"chip": form.kind != "sheet", "missing_hole": len(form.holes) >= 3}
    return tuple(mark for mark in MARKS if has.get(mark, True))


def lay(rng: Random, piece: Workpiece, mark: str) -> None:
    """Draws one mark on the piece."""
    if mark != "none":
        _DRAWING[mark](rng, piece)


def _spot(rng: Random, piece: Workpiece, reach: float = 0.85) -> tuple[float, float]:
    """A solid place on the part."""
    x, y = piece.form.centre
    for _ in range(24):
        angle, away = rng.uniform(0, 2 * np.pi), piece.form.radius * reach * np.sqrt(rng.uniform(0, 1))
        x, y = piece.form.centre[0] + away * np.cos(angle), piece.form.centre[1] + away * np.sin(angle)
        if 0 <= x < piece.side and 0 <= y < piece.side and piece.solid[int(y), int(x)] > 250:
            break
    return float(x), float(y)


def _tint(piece: Workpiece, weight: Field, factor: float | Field) -> None:
    """Multiplies the skin's light by `factor` where `weight` (side×side, 0 to 1) says, and notes the place."""
    change = np.asarray(1 + weight[..., None] * (np.asarray(factor, np.float32) - 1), np.float32)
    piece.skin *= change
    np.maximum(piece.touched, ((weight > 0.15) & (piece.solid > 128)).astype(np.uint8) * 255, out=piece.touched)


def _path(rng: Random, start: tuple[float, float], length: float, wander: float, points: int = 24) -> Points:
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, wander, points))
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / points)
    path = np.cumsum(steps, axis=0)
    return np.asarray(np.array(start) + path - path[points // 2])


def _stroke(piece: Workpiece, path: Points, width: float) -> Field:
    """A line's share of each pixel, side×side from 0 to 1, drawn four times as fine."""
    fine = np.zeros((piece.side * 2, piece.side * 2), np.uint8)
    cv2.polylines(fine, [fixed(path * 2)], False, 255, max(1, round(width * 2)), cv2.LINE_AA, 4)
    small = cv2.resize(fine, (piece.side, piece.side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) * np.float32(1 / 255)


def _scratch(rng: Random, piece: Workpiece) -> None:
    """A bright or dark groove with the other tone beside it."""
    tone = float(rng.uniform(1.5, 2.4)) if rng.random() < 0.7 else float(rng.uniform(0.25, 0.6))
    for _ in range(1 + int(rng.random() < 0.3)):
        length = piece.form.radius * float(rng.uniform(0.4, 1.5))
        path = _path(rng, _spot(rng, piece, 0.7), length, 0.06)
        width = piece.side * float(rng.uniform(0.006, 0.016))
        _tint(piece, _stroke(piece, path + width, width), 0.75 if tone > 1 else 1.25)
        _tint(piece, _stroke(piece, path, width), tone)


def _crack(rng: Random, piece: Workpiece) -> None:
    """A thin dark jagged line with branches."""
    start = _spot(rng, piece)
    width = piece.side * float(rng.uniform(0.006, 0.012))
    trunk = _path(rng, start, piece.form.radius * float(rng.uniform(0.5, 1.2)), 0.6)
    lines = [trunk]
    for _ in range(int(rng.integers(1, 4))):
        root = trunk[int(rng.integers(len(trunk)))]
        branch = _path(rng, (0.0, 0.0), piece.form.radius * float(rng.uniform(0.2, 0.5)), 0.6, 10)
        lines.append(branch - branch[0] + root)
    for line in lines:
        _tint(piece, _stroke(piece, line, width), float(rng.uniform(0.2, 0.4)))


def _pit(rng: Random, piece: Workpiece) -> None:
    """One or a cluster of small round hollows, dark with a bright edge."""
    x, y = _spot(rng, piece)
    spread = piece.form.radius * float(rng.uniform(0.08, 0.25))
    lamp = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 9))):
        radius = piece.side * float(rng.uniform(0.010, 0.026))
        place = (x + float(rng.normal(0, spread)), y + float(rng.normal(0, spread)))
        lit = (place[0] + float(np.cos(lamp)) * radius * 0.7, place[1] + float(np.sin(lamp)) * radius * 0.7)
        for where, factor in ((lit, 1.5), (place, float(rng.uniform(0.25, 0.5)))):
            layer = np.zeros_like(piece.solid)
            disc(layer, where, radius, 255)
            _tint(piece, layer.astype(np.float32) / 255, factor)


def _edge_point(rng: Random, form: Form) -> tuple[float, float]:
    if form.bore and rng.random() < 0.3:
        angle = rng.uniform(0, 2 * np.pi)
        return form.centre[0] + form.bore * float(np.cos(angle)), form.centre[1] + form.bore * float(np.sin(angle))
    index, along = int(rng.integers(len(form.outline))), rng.uniform(0, 1)
    x, y = form.outline[index] * (1 - along) + form.outline[(index + 1) % len(form.outline)] * along
    return float(x), float(y)


def _blot(rng: Random, centre: tuple[float, float], radius: float, rough: float) -> Points:
    """An irregular closed outline about `centre`."""
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    wave = 1 + rough * np.convolve(rng.normal(0, 1, 22), np.ones(3) / 3, "valid")
    reach = radius * np.clip(wave, 0.45, 1.6)
    stretch = np.array([1.0, rng.uniform(0.6, 1.0)])
    turn = rng.uniform(0, np.pi)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None] * stretch
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]) + centre)


def _chip(rng: Random, piece: Workpiece) -> None:
    """A piece broken off at an edge, its fracture rough and of another tone."""
    radius = piece.form.radius * float(rng.uniform(0.12, 0.30))
    blot = _blot(rng, _edge_point(rng, piece.form), radius, 0.3)
    gone = np.zeros_like(piece.solid)
    cv2.fillPoly(gone, [fixed(blot)], 255, cv2.LINE_AA, 4)
    grain = noise.field(rng, piece.shape, 1.5)
    tone = np.clip(float(rng.uniform(0.3, 1.5)) + 0.3 * grain, 0.1, 2.0)
    _tint(piece, gone.astype(np.float32) / 255, tone[..., None])
    np.maximum(piece.touched, cv2.min(gone, piece.solid), out=piece.touched)
    hollow = np.zeros_like(gone)
    middle = blot.mean(axis=0)
    cv2.fillPoly(hollow, [fixed(middle + (blot - middle) * float(rng.uniform(0.55, 0.9)))], 255, cv2.LINE_AA, 4)
    piece.solid = np.asarray(cv2.subtract(piece.solid, hollow), np.uint8)


def _stain(rng: Random, piece: Workpiece) -> None:
    """A soft blot of another colour, oil or rust, with a ragged edge."""
    x, y = _spot(rng, piece, 0.7)
    axis = np.arange(piece.side, dtype=np.float32)
    size = piece.form.radius * float(rng.uniform(0.16, 0.45))
    squash = float(rng.uniform(0.7, 1.4))
    span = np.hypot((axis[None, :] - x) * squash, (axis[:, None] - y) / squash) / size
    ragged = 1.0 - span + 0.25 * noise.cloud(rng, piece.shape, size * 0.7, 3) * (span < 1.8)
    weight = np.clip(ragged * float(rng.uniform(1.5, 4)), 0, 1).astype(np.float32)
    density = rng.uniform(0.3, 0.85) * np.array([1, rng.uniform(0.75, 1), rng.uniform(0.45, 1)])
    _tint(piece, weight, np.asarray(density, np.float32))


def _missing_hole(rng: Random, piece: Workpiece) -> None:
    index = int(rng.integers(len(piece.form.holes)))
    disc(piece.touched, tuple(piece.form.holes[index]), piece.form.hole_radius, 255)
    piece.solid = cover(piece.form, piece.side, skip=index)


def _print(rng: Random, piece: Workpiece) -> None:
    """Printed or engraved signs: letters, or a grid of dots."""
    x, y = _spot(rng, piece, 0.55)
    layer = np.zeros_like(piece.solid)
    if rng.random() < 0.6:
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTX0123456789-"), int(rng.integers(2, 6))))
        size = piece.side * float(rng.uniform(0.0018, 0.0035))
        cv2.putText(layer, text, (int(x - 20 * size * len(text) / 2), int(y)), 0, size, 255, 1, cv2.LINE_AA)
    else:
        cell, step = rng.random((8, 8)) < 0.5, piece.side * float(rng.uniform(0.010, 0.018))
        for row, column in np.argwhere(cell):
            disc(layer, (x + (column - 4) * step, y + (row - 4) * step), step * 0.45, 255)
    _tint(piece, layer.astype(np.float32) / 255, float(rng.choice((0.3, 0.45, 1.8))))


_DRAWING: dict[str, Callable[[Random, Workpiece], None]] = {
    "scratch": _scratch, "crack": _crack, "pit": _pit, "chip": _chip, "stain": _stain,
    "missing_hole": _missing_hole, "print": _print,
}  # fmt: skip
