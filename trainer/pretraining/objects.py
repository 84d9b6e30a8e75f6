"""Formulas whose drawing stands alone: fractals, contours, orbits, symbols. Each gives a TILE×TILE field from 0 to 1.

A formula's own numbers come from `rules`, which is the same for all its drawings; what varies comes from `chance`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.sim.noise import Field
from edgetl.trainer.pretraining.shapes import fixed

Random = np.random.Generator
Points = NDArray[np.float64]

TILE = 256
CHAINS, STEPS, SETTLE = 600, 80, 16  # 38,400 points of a fractal
FILLED = 0.12  # of the cells of a coarse grid; sparser fractals are specks


def fractal(rules: Random, chance: Random) -> Field:
    """An iterated function system of two to five contracting maps, by the chaos game."""
    for _ in range(20):
        maps, shifts, shares = _system(rules)
        points = _chaos(maps, shifts, shares, np.random.default_rng(int(rules.integers(2**32))))
        if _filled(points) > FILLED:
            break
    soft = np.exp(chance.normal(0, 0.3, len(shares)))  # another drawing weighs the maps a little differently
    points = _chaos(maps, shifts, shares * soft / (shares * soft).sum(), chance)
    cells = np.rint(_unit(points) * (TILE - 17) + 8).astype(np.int64)
    counts = np.bincount(cells[:, 1] * TILE + cells[:, 0], minlength=TILE * TILE).reshape(TILE, TILE)
    near = cv2.GaussianBlur(counts.astype(np.float32), (0, 0), 1.2)
    return np.asarray(1 - np.exp(-near * np.float32(2.2)), np.float32)


def _system(rules: Random) -> tuple[Points, Points, Points]:
    """Maps k×2×2 with singular values below one, shifts k×2, and how often each is taken (by its area)."""
    count = int(rules.integers(2, 6))
    turn, again = (_rotations(rules.uniform(0, 2 * np.pi, count)) for _ in range(2))
    large = rules.uniform(0.4, 0.9, count)
    small = large * rules.uniform(0.25, 1, count) * rules.choice((-1, 1), count)
    stretch = np.zeros((count, 2, 2))
    stretch[:, 0, 0], stretch[:, 1, 1] = large, small
    shares = np.abs(large * small) + 0.02
    return turn @ stretch @ again, rules.uniform(-1, 1, (count, 2)), shares / shares.sum()


def _rotations(angles: Points) -> Points:
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def _chaos(maps: Points, shifts: Points, shares: Points, chance: Random) -> Points:
    """Points of the attractor, n×2: many chains side by side."""
    at = np.zeros((CHAINS, 2))
    choices = chance.choice(len(shares), (STEPS, CHAINS), p=shares)
    found = []
    for step, chosen in enumerate(choices):
        at = np.einsum("nij,nj->ni", maps[chosen], at) + shifts[chosen]
        if step >= SETTLE:
            found.append(at)
    return np.concatenate(found)


def _unit(points: Points) -> Points:
    low, high = np.quantile(points, (0.003, 0.997), axis=0)
    return np.asarray(np.clip((points - low) / np.maximum(high - low, 1e-6), 0, 1))


def _filled(points: Points) -> float:
    cells = (_unit(points) * 31.99).astype(np.int64)
    return len(np.unique(cells[:, 1] * 32 + cells[:, 0])) / 1024


def contour(rules: Random, chance: Random) -> Field:
    """Nested polygons about one centre, their corners off the circle by noise that grows outwards."""
    corners, layers = int(rules.integers(3, 40)), int(rules.integers(3, 28))
    rough, squash = rules.uniform(0, 0.35), rules.uniform(0.5, 1.0)
    width, inner = int(rules.integers(1, 4)), rules.uniform(0.05, 0.6)
    steps = np.cumsum(chance.normal(0, rough / np.sqrt(layers), (layers, corners)), axis=0)
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    reach = np.linspace(inner, 1.0, layers)[:, None] * (1 + steps)
    return _nested(reach, angles, squash, width)


def orbit(rules: Random, chance: Random) -> Field:
    """Nested closed waves: two sines about a circle, with whole numbers of periods."""
    first, second = rules.integers(2, 21, 2)
    swing, other = rules.uniform(0.02, 0.35), rules.uniform(0.0, 0.2)
    layers, inner, width = int(rules.integers(1, 24)), rules.uniform(0.1, 0.7), int(rules.integers(1, 4))
    angles = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    phases = chance.uniform(0, 2 * np.pi, 2)
    wave = 1 + swing * np.sin(first * angles + phases[0]) + other * np.sin(second * angles + phases[1])
    jitter = 1 + chance.normal(0, 0.01, (layers, 1))
    return _nested(np.linspace(inner, 1.0, layers)[:, None] * wave * jitter, angles, 1.0, width)


def _nested(reach: Points, angles: Points, squash: float, width: int) -> Field:
    """Closed lines of layers×corners distances from the middle."""
    reach = reach / max(1.0, float(np.abs(reach).max())) * (TILE / 2 - 6)
    field = np.zeros((TILE, TILE), np.uint8)
    for n, row in enumerate(reach):
        line = np.stack([row * np.cos(angles), row * squash * np.sin(angles)], axis=1) + TILE / 2
        cv2.polylines(field, [fixed(line)], True, 255 - 90 * (n % 2), width, cv2.LINE_AA, 4)
    return field.astype(np.float32) / 255


def symbol(rules: Random, chance: Random) -> Field:
    """A printed sign: a few strokes on a coarse grid, straight or bent, sometimes mirrored."""
    strokes, width = int(rules.integers(2, 8)), int(rules.integers(4, 26))
    paths = [rules.integers(0, 4, (int(rules.integers(2, 5)), 2)) for _ in range(strokes)]
    mirrored, round_dots = rules.random() < 0.4, int(rules.integers(0, 4))
    dots = rules.integers(0, 4, (round_dots, 2))
    shaky = chance.normal(0, 3, (4, 4, 2))
    field = np.zeros((TILE, TILE), np.uint8)
    for path in paths:
        corners = path * 62.0 + 35 + shaky[path[:, 1], path[:, 0]]
        cv2.polylines(field, [fixed(corners)], False, 255, width, cv2.LINE_AA, 4)
    for x, y in dots:
        cv2.circle(field, (int(x * 62 + 35), int(y * 62 + 35)), width, 160, -1, cv2.LINE_AA)
    if mirrored:
        field = np.maximum(field, field[:, ::-1])
    return field.astype(np.float32) / 255
