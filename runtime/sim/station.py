"""The inspection station: how one line's lamp, lens and belt are set up."""

from dataclasses import dataclass

import numpy as np

# The lamp's usual direction (radians): a cell is set up once, then its light only ages and gets knocked a little.
LAMP = -0.7


@dataclass(frozen=True)
class Station:
    """One set-up of lamp, lens and belt.

    azimuth is the lamp's direction in the image plane (radians), tilt the sine of half its angle from the
    optical axis, exposure a linear brightness factor, colour the lamp's B, G, R balance, vignette the loss
    at the corners, centre the brightest spot in frame heights from the middle, defocus a Gaussian sigma in
    pixels of a 480-line frame.
    """

    azimuth: float
    tilt: float
    key: float
    fill: float
    fill_azimuth: float
    ambient: float
    exposure: float
    colour: tuple[float, float, float]
    vignette: float
    centre: tuple[float, float]
    defocus: float
    belt_colour: tuple[float, float, float]
    belt_seed: int


def _lamp_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    warm = float(rng.normal(0.0, 0.03))
    green = float(rng.normal(0.0, 0.008))
    return (1.0 - warm, 1.0 + green, 1.0 + warm)


def _belt_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    level = float(rng.uniform(44.0, 56.0))
    hue = (1.10, 1.02, 0.93)
    return (level * hue[0], level * hue[1], level * hue[2])


def random_station(rng: np.random.Generator) -> Station:
    azimuth = LAMP + float(rng.normal(0.0, 0.12))
    return Station(
        azimuth=azimuth,
        tilt=float(rng.uniform(0.27, 0.33)),
        key=float(rng.uniform(0.9, 1.1)),
        fill=float(rng.uniform(0.2, 0.28)),
        fill_azimuth=azimuth + float(rng.uniform(1.4, 1.7)),
        ambient=float(rng.uniform(0.125, 0.175)),
        exposure=float(rng.uniform(0.82, 1.2)),
        colour=_lamp_colour(rng),
        vignette=float(rng.uniform(0.08, 0.24)),
        centre=(float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.1, 0.1))),
        defocus=float(rng.uniform(0.45, 0.85)),
        belt_colour=_belt_colour(rng),
        belt_seed=int(rng.integers(2**31)),
    )
