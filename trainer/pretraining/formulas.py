"""The formulas: each number is one set of parameters of one family, and so a class of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.sim.noise import Field
from edgetl.trainer.pretraining import objects, surfaces
from edgetl.trainer.pretraining.objects import TILE, Random

VARIANTS = 4  # drawings kept of each formula; a picture is a view of one of them
_WORLD = 8_021_977  # the formulas are the same whatever pictures a seed draws of them

OBJECTS: dict[str, Callable[[Random, Random], Field]] = {
    "fractal": objects.fractal, "contour": objects.contour, "orbit": objects.orbit, "symbol": objects.symbol,
}  # fmt: skip
SURFACES: dict[str, Callable[[Random, Random], Field]] = {
    "cloud": surfaces.cloud, "ridge": surfaces.ridge, "cells": surfaces.cells, "foil": surfaces.foil,
    "weave": surfaces.weave, "grain": surfaces.grain, "brushed": surfaces.brushed, "cast": surfaces.cast,
    "turned": surfaces.turned, "warp": surfaces.warp, "lattice": surfaces.lattice, "fibres": surfaces.fibres,
}  # fmt: skip
FAMILIES = (*OBJECTS, *SURFACES)


def family_of(formula: int) -> str:
    """The family of a formula."""
    return FAMILIES[formula % len(FAMILIES)]


@lru_cache(maxsize=4096)
def tile(formula: int, variant: int) -> NDArray[np.uint8]:
    """One drawing of a formula, TILE×TILE."""
    draw = {**OBJECTS, **SURFACES}[family_of(formula)]
    field = draw(np.random.default_rng([_WORLD, formula]), np.random.default_rng([_WORLD, formula, 1 + variant]))
    return np.asarray(field * 255, np.uint8)


def view(chance: Random, formula: int, side: int) -> Field:
    """What a camera sees of the formula's surface: side×side from 0 to 1, turned, stretched, nearer or farther."""
    drawing = tile(formula, int(chance.integers(VARIANTS)))
    alone = family_of(formula) in OBJECTS
    span = TILE * float(chance.uniform(0.85, 1.4) if alone else chance.uniform(0.35, 0.7))
    turn, squash = chance.uniform(0, 2 * np.pi), float(chance.uniform(0.75, 1.0))
    cos, sin = np.cos(turn) * span / side, np.sin(turn) * span / side
    matrix = np.array([[cos, -sin * squash], [sin, cos * squash]])
    if chance.random() < 0.5:
        matrix[:, 0] *= -1
    roam = 0.12 if alone else 0.25
    middle = TILE * chance.uniform(0.5 - roam, 0.5 + roam, 2)
    to_tile = np.hstack([matrix, (middle - matrix @ [side / 2, side / 2])[:, None]])
    border = cv2.BORDER_CONSTANT if alone else cv2.BORDER_REFLECT_101
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(drawing, to_tile, (side, side), flags=flags, borderMode=border)
    return np.asarray(seen.astype(np.float32) * np.float32(1 / 255), np.float32)
