"""reference.json: what a bundle's pictures looked like and how sure its model was, in figures, to compare a line with.

Made at export from the training pictures and from held-out ones; read on the device by whatever judges frames or
watches for drift.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import BundleFormatError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import probabilities
from edgetl.runtime.manifest import REFERENCE_NAME
from edgetl.runtime.preprocess import Image

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


class Spread(msgspec.Struct, frozen=True):
    """A figure's mean, standard deviation and quantiles (at QUANTILES) over the pictures."""

    mean: float
    std: float
    quantiles: tuple[float, ...]


class LogitSpread(msgspec.Struct, frozen=True):
    """Mean and standard deviation of each logit over the pictures that were given one label."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Confidence(msgspec.Struct, frozen=True):
    """How sure one model file was of `pictures` that did not train it: `figures` as `confidence_of` and `novelty_of`
    give them, their means `by_label` given, and the logits by label given."""

    model: str
    pictures: int
    figures: dict[str, Spread]
    by_label: dict[str, dict[str, float]]
    logits: dict[str, LogitSpread]


class Reference(msgspec.Struct, frozen=True):
    """Of the model's inputs: brightness and contrast (grey levels), channel means, the shares of red and blue in the
    colour, sharpness (variance of the Laplacian), and share of black and of white pixels.

    `by_label` holds the means of the pictures of each class, so that another mix of classes is not taken for another
    light. It and `confidence` are missing from bundles of edgetl 0.1.
    """

    pictures: int
    quantile_points: tuple[float, ...]
    figures: dict[str, Spread]
    by_label: dict[str, dict[str, float]] = {}
    confidence: Confidence | None = None


def light_of(image: Image) -> dict[str, float]:
    """Those figures of one model input (S×S×3 uint8 RGB) that need no colour."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    (mean,), (std,) = (v[0] for v in cv2.meanStdDev(grey))
    edges = cv2.Laplacian(grey, cv2.CV_16S)  # its variance from two sums, in less than half the time of meanStdDev
    sharpness = cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - (cv2.sumElems(edges)[0] / edges.size) ** 2
    return {
        "brightness": float(mean),
        "contrast": float(std),
        "sharpness": max(0.0, float(sharpness)),
        "black": float(np.count_nonzero(grey < 8) / grey.size),
        "white": float(np.count_nonzero(grey > 247) / grey.size),
    }


def figures_of(image: Image) -> dict[str, float]:
    """The figures of one model input (S×S×3 uint8 RGB)."""
    red, green, blue, _ = cv2.mean(image)  # a fifth of the time of numpy's
    total = max(red + green + blue, 1e-9)
    colours = {"red": red, "green": green, "blue": blue, "red_share": red / total, "blue_share": blue / total}
    return {**light_of(image), **colours}


def confidence_of(logits: NDArray[np.float32], temperature: float) -> dict[str, float]:
    """How sure a model is, from its logits (shape: number of labels).

    `score` is the best probability, `margin` the distance of the two largest logits, `energy` the logarithm of the
    sum of the logits' exponentials: it falls when nothing in the picture speaks for any label.
    """
    scaled = logits.astype(np.float64) / temperature
    ordered = np.sort(scaled)
    return {
        "score": float(probabilities(logits, temperature).max()),
        "margin": float(ordered[-1] - ordered[-2]) if len(ordered) > 1 else 0.0,
        "energy": float(ordered[-1] + np.log(np.exp(scaled - ordered[-1]).sum())),
    }


def novelty_of(logits: NDArray[np.float32], of_label: LogitSpread) -> float:
    """How far the logits lie from those of held-out pictures of the label: the logarithm of the mean squared distance
    in standard deviations, near 0 for a picture like them. The logits are the model's features as its last layer sees
    them; the logarithm keeps one odd picture from outweighing fifty."""
    spread = np.maximum(np.asarray(of_label.std), 1e-6)
    squares = ((logits.astype(np.float64) - np.asarray(of_label.mean)) / spread) ** 2
    return float(np.log(max(squares.mean(), 1e-6)))


def read_reference(bundle: Bundle) -> Reference | None:
    """The bundle's reference; None where it holds none. Raises BundleFormatError."""
    if REFERENCE_NAME not in bundle.manifest.files:
        return None
    try:
        return msgspec.json.decode(bundle.read(REFERENCE_NAME), type=Reference)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BundleFormatError(f"{bundle.path}: {REFERENCE_NAME} is not valid: {error}") from error
