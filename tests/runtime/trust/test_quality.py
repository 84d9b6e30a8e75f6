"""Broken light and lenses are told from the pictures that training saw, and those pictures are left alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import QUANTILES, Reference, Spread, figures_of, read_reference
from edgetl.runtime.sim import Conveyor, ConveyorSettings
from edgetl.runtime.trust.quality import Limits, doubt_about, limits_of
from edgetl.runtime.trust.settings import TrustSettings


def parts(count: int = 12) -> list[Image]:
    """Inputs as a model gets them: drawn parts, 96×96 RGB."""
    frames = Conveyor(ConveyorSettings(seed=3, parts=count)).frames()
    found = [f.image for f in frames if f.part is not None]
    return [cv2.cvtColor(cv2.resize(i, (96, 96), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB) for i in found]


def reference_of(images: list[Image]) -> Reference:
    rows = [figures_of(image) for image in images]
    spreads = {
        name: Spread(0.0, 0.0, tuple(float(q) for q in np.quantile([row[name] for row in rows], QUANTILES)))
        for name in rows[0]
    }
    return Reference(len(rows), QUANTILES, spreads)


PARTS = parts()
LIMITS = limits_of(reference_of(PARTS), TrustSettings())


def test_pictures_like_those_of_training_pass() -> None:
    assert [doubt_about(figures_of(image), LIMITS) for image in PARTS] == [None] * len(PARTS)
    assert [doubt_about(figures_of(np.roll(image, 9, axis=1)), LIMITS) for image in PARTS] == [None] * len(PARTS)


def scaled(factor: float) -> list[Image]:
    return [np.clip(image * float(factor), 0, 255).astype(np.uint8) for image in PARTS]


@pytest.mark.fault("I5")
@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("too dark", [np.zeros_like(PARTS[0])]),
        ("too dark", scaled(0.1)),
        ("overexposed", [np.full_like(PARTS[0], 255)]),
        ("overexposed", scaled(20)),
        ("no contrast", [np.full_like(PARTS[0], 120)]),
        ("blurred", [cv2.GaussianBlur(image, (0, 0), 4) for image in PARTS]),
    ],
)
def test_broken_light_and_lenses_are_named(name: str, images: list[Image]) -> None:
    for image in images:
        assert str(doubt_about(figures_of(image), LIMITS)).startswith(f"image quality: {name}")


@pytest.mark.parametrize("factor", [0.7, 0.85, 1.15, 1.3])
def test_light_that_drifts_is_left_to_the_watch_for_drift(factor: float) -> None:
    assert [doubt_about(figures_of(image), LIMITS) for image in scaled(factor)] == [None] * len(PARTS)


@pytest.mark.fault("I5")
def test_a_reference_without_a_figure_gives_the_plain_limits() -> None:
    whole = reference_of(PARTS)
    figures = {name: spread for name, spread in whole.figures.items() if name != "contrast"}
    assert limits_of(msgspec.structs.replace(whole, figures=figures), TrustSettings()) == limits_of(
        None, TrustSettings()
    )


def test_without_a_reference_only_what_holds_no_picture_is_refused() -> None:
    plain = limits_of(None, TrustSettings())
    assert plain == Limits()
    black, white, grey = (np.full((32, 32, 3), level, np.uint8) for level in (0, 255, 90))
    assert doubt_about(figures_of(black), plain) and doubt_about(figures_of(white), plain)
    assert doubt_about(figures_of(grey), plain) is None


def test_sharpness_is_not_asked_for_where_it_is_switched_off() -> None:
    limits = limits_of(reference_of(PARTS), TrustSettings(sharpness_share=0))
    assert doubt_about(figures_of(cv2.GaussianBlur(PARTS[0], (0, 0), 2)), limits) is None


@pytest.mark.slow
def test_held_out_pictures_of_a_real_bundle_pass(small_bundle: Path, small_data: Path) -> None:
    from edgetl.runtime.picture import read_picture
    from edgetl.runtime.preprocess import preprocess

    with open_bundle(small_bundle) as bundle:
        limits = limits_of(read_reference(bundle), TrustSettings())
        how = bundle.manifest.preprocessing
    paths = sorted((small_data / "test").rglob("*.*"))
    assert len(paths) >= 20
    assert [doubt_about(figures_of(preprocess(read_picture(p), how)), limits) for p in paths] == [None] * len(paths)
