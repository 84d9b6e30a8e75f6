"""One drawn picture by its seed, with what it shows: its formula, palette, outline and mark, and where the mark lies."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.sim import noise
from edgetl.runtime.sim.noise import Field
from edgetl.trainer.pretraining import formulas, palettes
from edgetl.trainer.pretraining.marks import MARKS, Workpiece, lay, possible_marks
from edgetl.trainer.pretraining.shapes import KINDS, Form, cover, random_form

Image = NDArray[np.uint8]
Random = np.random.Generator

HEADS = ("formula", "palette", "outline", "mark")  # in the order of a picture's labels
GRID = 12  # cells along a side of `where`
CLEAN = 0.25  # of the pictures have no mark


class Drawn(msgspec.Struct):
    """`image` S×S×3 uint8 RGB, `labels` one index for each of HEADS, `where` GRID×GRID uint8: 1 on the mark."""

    image: Image
    labels: tuple[int, int, int, int]
    where: Image


def classes_of(count: int) -> dict[str, int]:
    """How many classes each head tells apart, with `count` formulas."""
    return {"formula": count, "palette": palettes.COUNT, "outline": len(KINDS), "mark": len(MARKS)}


def draw_picture(seed: int, size: int, count: int, mark: str | None = None) -> Drawn:
    """A part with the surface of one of `count` formulas on a ground. All but the mark comes from the seed alone; `mark`
    None draws one at random."""
    shaping, scene, marking, camera = (np.random.default_rng([seed, n]) for n in range(4))
    formula, colours = int(scene.integers(count)), int(scene.integers(palettes.COUNT))
    form = random_form(shaping, size)
    solid = cover(form, size)
    piece = Workpiece(form, solid, _skin(scene, formula, colours, size), np.zeros_like(solid))
    mark = mark or _random_mark(marking, form)
    lay(marking, piece, mark)
    image = _photograph(camera, _composed(scene, piece, _ground(scene, count, size)))
    labels = (formula, colours, KINDS.index(form.kind), MARKS.index(mark))
    return Drawn(image, labels, _cells(piece.touched))


def _random_mark(chance: Random, form: Form) -> str:
    return MARKS[0] if chance.random() < CLEAN else str(chance.choice(possible_marks(form)[1:]))


def _skin(scene: Random, formula: int, colours: int, size: int) -> Field:
    """The coloured surface; what stands alone lies on a faint texture, and some surfaces have relief under a lamp."""
    tone = formulas.view(scene, formula, size)
    if formulas.family_of(formula) in formulas.OBJECTS:
        tone = np.maximum(
            tone, np.float32(scene.uniform(0, 0.3)) * noise.field(scene, (size, size), scene.uniform(1, 9))
        )
    skin = palettes.coloured(np.clip(tone, 0, 1), colours, float(scene.uniform(0.6, 1.0)))
    if scene.random() < 0.5:
        skin = skin * _lit(tone, scene.uniform(0, 2 * np.pi), scene.uniform(0.2, 1.0))[..., None]
    return np.asarray(skin, np.float32)


def _ground(scene: Random, count: int, size: int) -> Field:
    """A duller surface below the part, of any formula and palette."""
    tone = formulas.view(scene, int(scene.integers(count)), size)
    dull = palettes.coloured(tone, int(scene.integers(palettes.COUNT)), float(scene.uniform(0.1, 0.7)))
    return np.asarray(dull * np.float32(scene.uniform(0.3, 1.0)), np.float32)


def _lit(height: Field, azimuth: float, strength: float) -> Field:
    """Brightness of a relief under a lamp: 1 where it is flat."""
    across, down = cv2.Sobel(height, cv2.CV_32F, 1, 0), cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = np.float32(np.cos(azimuth) * strength) * across + np.float32(np.sin(azimuth) * strength) * down
    return np.asarray(np.clip(1 + slope, 0.3, 2.2), np.float32)


def _composed(scene: Random, piece: Workpiece, below: Field) -> Field:
    """The part on its ground, with bright and dark bevels, a shadow beside it, and the fall-off of a lamp."""
    side, spread = piece.side, piece.side * float(scene.uniform(0.008, 0.02))
    azimuth, steep, depth = scene.uniform(0, 2 * np.pi), scene.uniform(0.4, 2.0), scene.uniform(0.2, 0.7)
    solid = piece.solid.astype(np.float32) * np.float32(1 / 255)
    skin = piece.skin
    if piece.solid.min() < 255:
        soft = np.asarray(cv2.GaussianBlur(solid, (0, 0), spread), np.float32)
        throw = np.array([[1, 0, 2 * spread * np.cos(azimuth)], [0, 1, 2 * spread * np.sin(azimuth)]], np.float32)
        shadow = cv2.warpAffine(soft, throw, (side, side), borderMode=cv2.BORDER_REPLICATE)
        ground = below * (1 - np.float32(depth) * shadow)[..., None]
        skin = ground + (skin * _lit(soft, azimuth, steep)[..., None] - ground) * solid[..., None]
    return np.asarray(skin * _lamp(scene, side)[..., None], np.float32)


def _lamp(scene: Random, side: int) -> Field:
    """Brightness about 1: brighter on one side and in the middle."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    angle, slope, fall = scene.uniform(0, 2 * np.pi), scene.uniform(0, 0.35), scene.uniform(0, 0.25)
    across = np.float32(slope * np.cos(angle)) * axis[None, :] + np.float32(slope * np.sin(angle)) * axis[:, None]
    return np.asarray(1 + across - np.float32(fall) * (axis[None, :] ** 2 + axis[:, None] ** 2 - 0.6), np.float32)


def _photograph(camera: Random, light: Field) -> Image:
    """Exposure, tint, focus and noise of a camera."""
    if camera.random() < 0.4:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), float(camera.uniform(0.3, 1.0))), np.float32)
    light = light * np.asarray(camera.uniform(0.7, 1.3) * camera.uniform(0.93, 1.07, 3), np.float32)
    grain = noise.field(camera, (len(light), len(light)), 1.0)[..., None] * np.float32(camera.uniform(0, 6))
    return np.asarray(np.clip(light + grain, 0, 255), np.uint8)


def _cells(touched: Image) -> Image:
    """Cells of which at least a fiftieth is touched."""
    share = cv2.resize(touched, (GRID * 8, GRID * 8), interpolation=cv2.INTER_AREA)
    share = cv2.resize(share.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(share > 5, np.uint8)
