"""Drawn pictures: the same by seed, every label there is, and marks that change one place only."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.trainer.pretraining import formulas, palettes
from edgetl.trainer.pretraining.marks import MARKS, possible_marks
from edgetl.trainer.pretraining.objects import TILE
from edgetl.trainer.pretraining.pictures import GRID, HEADS, classes_of, draw_picture
from edgetl.trainer.pretraining.pool import draw_pool
from edgetl.trainer.pretraining.shapes import cover, random_form

SIZE, FORMULAS = 64, 16


def seed_of(mark: str) -> int:
    """A seed whose part can carry the mark."""
    for seed in range(1000):
        form = random_form(np.random.default_rng([seed, 0]), SIZE)
        if mark in possible_marks(form) and form.kind != "sheet":
            return seed
    raise AssertionError(mark)


def near(where: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """SIZE×SIZE: True in the marked cells and those beside them."""
    grown = cv2.dilate(where, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.resize(grown, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST) > 0)


def test_the_seed_alone_makes_the_picture() -> None:
    first, again, other = (draw_picture(seed, SIZE, FORMULAS) for seed in (7, 7, 8))
    assert np.array_equal(first.image, again.image) and first.labels == again.labels
    assert np.array_equal(first.where, again.where)
    assert not np.array_equal(first.image, other.image)
    assert first.image.shape == (SIZE, SIZE, 3) and first.image.dtype == np.uint8
    assert first.where.shape == (GRID, GRID)


def test_every_label_occurs_and_none_besides() -> None:
    drawn = [draw_picture(seed, 32, FORMULAS) for seed in range(600)]
    for column, (head, count) in enumerate(classes_of(FORMULAS).items()):
        assert head == HEADS[column]
        assert {one.labels[column] for one in drawn} == set(range(count)), head


@pytest.mark.parametrize("formula", range(2 * len(formulas.FAMILIES)))
def test_a_formula_is_itself_in_every_drawing_and_no_other(formula: int) -> None:
    drawing, other = formulas.tile(formula, 0), formulas.tile(formula, 1)
    assert drawing.shape == (TILE, TILE) and drawing.std() > 5
    assert np.array_equal(drawing, formulas.tile.__wrapped__(formula, 0))
    assert not np.array_equal(drawing, other)
    sibling = formulas.tile(formula + len(formulas.FAMILIES), 0)
    assert formulas.family_of(formula) == formulas.family_of(formula + len(formulas.FAMILIES))
    assert apart(drawing, other) < apart(drawing, sibling)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How different two drawings are in what does not depend on place: their tones and their spectra."""
    return float(np.abs(signature(one) - signature(other)).sum())


def signature(drawing: NDArray[np.uint8]) -> NDArray[np.float64]:
    plain = drawing / 255.0
    power = np.abs(np.fft.fft2(plain - plain.mean())) ** 2
    rate = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE)))
    bands = [np.log(power[(rate >= low) & (rate < 2 * low)].mean() + 1e-3) for low in 2.0 ** -np.arange(2, 8)]
    return np.array([*bands, 8 * plain.mean(), 8 * plain.std()])


def test_palettes_differ_and_follow_their_number() -> None:
    assert np.array_equal(palettes.palette(5), palettes.palette.__wrapped__(5))
    colours = np.stack([palettes.palette(n)[128] for n in range(palettes.COUNT)])
    assert len(np.unique(colours.round(), axis=0)) == palettes.COUNT


@pytest.mark.parametrize("mark", MARKS[1:])
def test_a_mark_changes_its_own_place_only(mark: str) -> None:
    seed = seed_of(mark)
    clean, marked = (draw_picture(seed, SIZE, FORMULAS, name) for name in ("none", mark))
    assert (
        clean.labels[:3] == marked.labels[:3] and MARKS[marked.labels[3]] == mark and MARKS[clean.labels[3]] == "none"
    )
    changed = cv2.absdiff(clean.image, marked.image).max(axis=2) > 10
    assert changed.any() and marked.where.any() and not clean.where.any()
    assert (changed & ~near(marked.where)).sum() <= 0.01 * SIZE * SIZE


def test_a_skipped_hole_is_solid() -> None:
    form = random_form(np.random.default_rng([seed_of("missing_hole"), 0]), SIZE)
    x, y = (round(v) for v in form.holes[0])
    assert cover(form, SIZE)[y, x] == 0 and cover(form, SIZE, skip=0)[y, x] == 255


def test_a_pool_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = draw_pool(tmp_path / "one", 300, 32, FORMULAS, seed=2, processes=1)
    two = draw_pool(tmp_path / "two", 300, 32, FORMULAS, seed=2, processes=2)
    assert np.array_equal(one.images, two.images) and np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.where, two.where)
    lone = draw_picture((2 << 32) + 290, 32, FORMULAS)
    assert np.array_equal(one.images[290], lone.image) and tuple(one.labels[290]) == lone.labels
