"""Formulas that fill a surface: noise at many scales, cells, foil, weaves, grain, brushed, cast and turned metal.

Each gives a TILE×TILE field from 0 to 1; `rules` is the same for all drawings of a formula, `chance` is not.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgetl.runtime.sim import noise
from edgetl.runtime.sim.noise import Field
from edgetl.trainer.pretraining.objects import TILE
from edgetl.trainer.pretraining.shapes import fixed

Random = np.random.Generator
SHAPE = (TILE, TILE)


def levelled(field: Field) -> Field:
    """The field with its middle 98 % spread over 0 to 1."""
    low, high = np.quantile(field[::4, ::4], (0.01, 0.99))
    return np.asarray(np.clip((field - low) / max(float(high - low), 1e-6), 0, 1), np.float32)


def _octaves(chance: Random, cell: float, roughness: float, stretch: float, fold: bool) -> Field:
    total, strength, size = np.zeros(SHAPE, np.float32), 1.0, cell
    for _ in range(5):
        if size < 1:
            break
        octave = noise.field(chance, SHAPE, size * stretch, size)
        total += np.float32(strength) * (np.abs(octave) if fold else octave)
        strength, size = strength * roughness, size / 2
    return total


def cloud(rules: Random, chance: Random) -> Field:
    """Fractal noise, soft or cut off at levels, as of paint, stone, rust."""
    cell, roughness, stretch = 2 ** rules.uniform(1, 6.5), rules.uniform(0.2, 0.95), 2 ** rules.uniform(0, 2)
    levels = int(rules.choice((0, 0, 2, 3, 5)))
    field = levelled(_octaves(chance, cell, roughness, stretch, False))
    return np.asarray(np.floor(field * (levels - 0.01)) / (levels - 1), np.float32) if levels else field


def ridge(rules: Random, chance: Random) -> Field:
    """Folded noise: veins, creases, marble."""
    cell, roughness, power = 2 ** rules.uniform(2.5, 6.5), rules.uniform(0.2, 0.8), rules.uniform(0.3, 2.0)
    stretch = 2 ** rules.uniform(0, 2)
    return np.asarray(levelled(_octaves(chance, cell, roughness, stretch, True)) ** np.float32(power), np.float32)


def _seeds(chance: Random, pitch: float, disorder: float) -> np.ndarray:  # type: ignore[type-arg]
    """Places k×2 on a grid of that pitch, moved by up to `disorder` of it."""
    axis = np.arange(-pitch, TILE + pitch, pitch)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return np.asarray(grid + chance.uniform(-disorder, disorder, grid.shape) * pitch)


def _nearest(places: np.ndarray) -> tuple[Field, np.ndarray]:  # type: ignore[type-arg]
    """Distance of each pixel to its nearest place, and which place that is (from 1)."""
    empty = np.full(SHAPE, 255, np.uint8)
    inside = places[((places >= 0) & (places < TILE)).all(axis=1)].astype(np.int64)
    empty[inside[:, 1], inside[:, 0]] = 0
    away, which = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return np.asarray(away, np.float32), np.asarray(which)


def cells(rules: Random, chance: Random) -> Field:
    """Grains of a metal, foam, scales: areas about places, told apart by their edges, their tone, or both."""
    pitch, disorder, toned = 2 ** rules.uniform(2.6, 5.6), rules.uniform(0.1, 0.9), rules.uniform(0, 1)
    dome, edge = rules.uniform(-1, 1), rules.uniform(0, 1)
    away, which = _nearest(_seeds(chance, pitch, disorder))
    tones = chance.uniform(0, 1, int(which.max()) + 1).astype(np.float32)[which]
    border = cv2.morphologyEx(which.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    field = np.float32(toned) * tones + np.float32(dome / pitch) * away - np.float32(edge) * border
    return levelled(np.asarray(field, np.float32))


def foil(rules: Random, chance: Random) -> Field:
    """Crumpled foil or paper: flat pieces, each lit by its slope."""
    pitch, bend, octaves = 2 ** rules.uniform(3.5, 6), rules.uniform(0, 1), int(rules.integers(1, 4))
    total = np.zeros(SHAPE, np.float32)
    axis = np.arange(TILE, dtype=np.float32) / np.float32(pitch)
    for octave in range(octaves):
        _, which = _nearest(_seeds(chance, pitch / 2**octave, 0.9))
        slopes = chance.normal(0, 1, (3, int(which.max()) + 1)).astype(np.float32)
        piece = slopes[0][which] + np.float32(bend) * (slopes[1][which] * axis + slopes[2][which] * axis[:, None]) / 4
        total += np.asarray(piece, np.float32) * np.float32(0.6**octave)
    return levelled(cv2.GaussianBlur(total, (0, 0), 0.8))


def weave(rules: Random, chance: Random) -> Field:
    """Threads over and under each other: plain, twill and others, by a small table of crossings."""
    period = int(rules.integers(2, 7))
    table = rules.random((period, period)) < 0.5
    if rules.random() < 0.5:  # a twill: each row is the one before, moved on
        table = np.stack([np.roll(table[0], n) for n in range(period)])
    warp, weft = 2 ** rules.uniform(2, 4.2), 2 ** rules.uniform(2, 4.2)
    two_tone, gap = rules.uniform(0, 1), rules.uniform(0.2, 1)
    axis = np.arange(TILE, dtype=np.float32)
    wobble = noise.field(chance, SHAPE, 30.0) * np.float32(chance.uniform(0, 0.25))
    x, y = axis[None, :] / np.float32(warp) + wobble, axis[:, None] / np.float32(weft) + wobble
    over = table[np.floor(y).astype(int) % period, np.floor(x).astype(int) % period]
    across, along = np.sin(np.pi * (x % 1)), np.sin(np.pi * (y % 1))
    field = np.where(over, across + np.float32(two_tone), along) ** np.float32(gap)
    return levelled(np.asarray(field + 0.15 * noise.field(chance, SHAPE, 1.0), np.float32))


def grain(rules: Random, chance: Random) -> Field:
    """Wood: rings cut along or across, with pores."""
    pitch, warp, curve = 2 ** rules.uniform(2, 5), rules.uniform(0, 2.5), rules.uniform(0, 1)
    sharp, pores = rules.uniform(0.4, 3), rules.uniform(0, 0.5)
    axis = np.arange(TILE, dtype=np.float32) - np.float32(chance.uniform(0, TILE))
    away = np.sqrt(axis[None, :] ** 2 + np.float32(curve) * axis[:, None] ** 2)
    bent = away / np.float32(pitch) + np.float32(warp) * noise.field(chance, SHAPE, 40.0, 90.0)
    rings = (bent % 1) ** np.float32(sharp)
    return levelled(np.asarray(rings - np.float32(pores) * (noise.field(chance, SHAPE, 1.5, 14.0) > 1.3), np.float32))


def brushed(rules: Random, chance: Random) -> Field:
    """Fine parallel streaks of one length, and broader ones of another."""
    long, fine, broad = 2 ** rules.uniform(3.5, 7.5), rules.uniform(1, 3), 2 ** rules.uniform(1.5, 5)
    share, crossed = rules.uniform(0, 1), rules.uniform(0, 1) ** 2
    field = noise.field(chance, SHAPE, long, fine) + np.float32(share) * noise.field(chance, SHAPE, 120.0, broad)
    return levelled(field + np.float32(crossed) * noise.field(chance, SHAPE, fine, long))


def cast(rules: Random, chance: Random) -> Field:
    """Bumps or hollows of one size, dense or sparse, on a rough skin, as of a casting or hammer finish."""
    size, density, skin = 2 ** rules.uniform(1.2, 4), rules.uniform(-1.2, 1.2), rules.uniform(0, 0.8)
    soft, sign = rules.uniform(0.3, 4), rules.choice((-1.0, 1.0))
    bumps = 1 / (1 + np.exp(-np.float32(soft) * (noise.field(chance, SHAPE, size) - np.float32(density))))
    return levelled(
        np.asarray(np.float32(sign) * bumps + np.float32(skin) * noise.field(chance, SHAPE, 1.0) * 0.4, np.float32)
    )


def turned(rules: Random, chance: Random) -> Field:
    """Rings of a lathe and the bow tie of light that they throw."""
    fine, broad, lobe = rules.uniform(1, 4), 2 ** rules.uniform(2.5, 5.5), rules.uniform(0, 3)
    lobes, width, share = int(rules.integers(1, 4)), rules.uniform(0.15, 0.7), rules.uniform(0, 1.5)
    middle = chance.uniform(0.3, 0.7, 2) * TILE
    axis = np.arange(TILE, dtype=np.float32)
    x, y = np.meshgrid(axis - np.float32(middle[0]), axis - np.float32(middle[1]))
    r, angle = cv2.cartToPolar(x, y)
    rings = noise.line(chance, 2 * TILE, fine) + np.float32(share) * noise.line(chance, 2 * TILE, broad)
    away = np.sin(angle * np.float32(lobes / 2) - np.float32(chance.uniform(0, np.pi))) / np.float32(width)
    return levelled(np.asarray(rings[r.astype(np.int32)] + np.float32(lobe) / (1 + away * away), np.float32))


def warp(rules: Random, chance: Random) -> Field:
    """Sines of sines, as small shaders draw them."""
    depth, gain = int(rules.integers(2, 6)), rules.uniform(0.4, 1.6)
    turns, rates = rules.uniform(0, 2 * np.pi, depth), 2 ** rules.uniform(0, 2.6, depth)
    phases = chance.uniform(0, 2 * np.pi, (depth, 2))
    axis = np.linspace(-2, 2, TILE, dtype=np.float32)
    x, y = np.meshgrid(axis + np.float32(chance.uniform(-1, 1)), axis + np.float32(chance.uniform(-1, 1)))
    for turn, rate, phase in zip(turns, rates, phases * 0.15, strict=True):
        cos, sin = np.float32(np.cos(turn) * rate), np.float32(np.sin(turn) * rate)
        u, v = cos * x - sin * y, sin * x + cos * y
        x = x + np.float32(gain / rate) * np.sin(v + np.float32(phase[0]))
        y = y + np.float32(gain / rate) * np.cos(u + np.float32(phase[1]))
    return levelled(np.asarray(np.sin(2 * x) + np.cos(2 * y), np.float32))


def lattice(rules: Random, chance: Random) -> Field:
    """A perforated or tiled plate: one motif on a square, offset or leaning grid."""
    pitch, aspect = 2 ** rules.uniform(3.2, 5.6), rules.uniform(0.6, 1.6)
    offset, lean, size = rules.choice((0.0, 0.5, 0.33)), rules.uniform(-0.4, 0.4), rules.uniform(0.15, 0.45)
    norm, hollow = rules.choice((0.7, 1.0, 2.0, 6.0)), rules.uniform(0, 0.9) if rules.random() < 0.5 else 0.0
    axis = np.arange(TILE, dtype=np.float32) + np.float32(chance.uniform(0, 99))
    x, y = np.meshgrid(axis, axis)
    x, y = (x + np.float32(lean) * y) / np.float32(pitch), y / np.float32(pitch * aspect)
    x = x + np.float32(offset) * np.floor(y)
    away = (np.abs(x % 1 - 0.5) ** norm + np.abs(y % 1 - 0.5) ** norm) ** (1 / norm)
    field = np.clip((size - away) * pitch / 2, 0, 1) - np.clip((size * hollow - away) * pitch / 2, 0, 1)
    return np.asarray(np.clip(field + 0.06 * noise.field(chance, SHAPE, 1.0), 0, 1), np.float32)


def fibres(rules: Random, chance: Random) -> Field:
    """Many strokes of one length, thickness, bend and spread of directions: paper, felt, swarf, ground steel."""
    count, length = int(2 ** rules.uniform(5, 9)), 2 ** rules.uniform(2.5, 6.5)
    spread, bend, width = rules.uniform(0, 1) ** 2 * np.pi, rules.uniform(0, 0.5), int(rules.integers(1, 5))
    field = np.full(SHAPE, 110, np.uint8)
    headings = chance.uniform(-spread, spread, (count, 1)) + np.cumsum(chance.normal(0, bend, (count, 6)), axis=1)
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=-1) * length / 6
    paths = chance.uniform(0, TILE, (count, 1, 2)) + np.cumsum(steps, axis=1)
    for path, tone in zip(paths, chance.integers(0, 256, count), strict=True):
        cv2.polylines(field, [fixed(path)], False, int(tone), width, cv2.LINE_AA, 4)
    return field.astype(np.float32) / 255
