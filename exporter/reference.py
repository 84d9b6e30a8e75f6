"""reference.json: what the training pictures looked like, so that a device can tell when its own look different."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import msgspec
import numpy as np

from edgetl.runtime.preprocess import Image

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


class Spread(msgspec.Struct, frozen=True):
    """A figure's mean, standard deviation and quantiles (at QUANTILES) over the pictures."""

    mean: float
    std: float
    quantiles: tuple[float, ...]


class Reference(msgspec.Struct, frozen=True):
    """Of the model's inputs: brightness and contrast (grey levels), channel means, sharpness (variance of the
    Laplacian), and share of black and of white pixels."""

    pictures: int
    quantile_points: tuple[float, ...]
    figures: dict[str, Spread]


def figures_of(image: Image) -> dict[str, float]:
    """The figures of one model input (S×S×3 uint8 RGB)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    red, green, blue = image.reshape(-1, 3).mean(axis=0)
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "red": float(red),
        "green": float(green),
        "blue": float(blue),
        "sharpness": float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        "black": float((grey < 8).mean()),
        "white": float((grey > 247).mean()),
    }


def describe(images: Iterable[Image]) -> Reference:
    """The reference of a set of model inputs, taken one at a time."""
    rows = [figures_of(image) for image in images]
    figures = {name: _spread(np.array([row[name] for row in rows])) for name in rows[0]}
    return Reference(len(rows), QUANTILES, figures)


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Spread:
    quantiles = tuple(round(float(q), 5) for q in np.quantile(values, QUANTILES))
    return Spread(round(float(values.mean()), 5), round(float(values.std()), 5), quantiles)
