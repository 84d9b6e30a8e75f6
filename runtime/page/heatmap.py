"""Where an answer rests: spots of the picture are blurred in turn, and what that costs the answer is drawn as heat.

Occlusion (Zeiler and Fergus, ECCV 2014) asks the file that inspects, as it is, and needs nothing but more inferences.
It shows what the answer rests on; it does not outline a defect, and heat beside a defect is a warning worth having.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.preprocess import Image

GRID = 9  # spots along each side: 81 inferences, with the untouched picture 82
_REACH = 0.8  # of a spot's pitch: half its side, so that neighbours overlap and a defect on a border is not split

Logits = Callable[[Image], NDArray[np.float32]]


class Heat(msgspec.Struct, frozen=True):
    """`drops`: GRID×GRID, how many logits the margin of `label` fell when that spot was blurred (below 0: it rose).
    `margin` is the untouched picture's: its logit above the best other."""

    label: int
    margin: float
    drops: NDArray[np.float64]

    @property
    def worst(self) -> float:
        """The largest drop."""
        return float(self.drops.max())


def heat_of(image: Image, logits: Logits) -> Heat:
    """Asks a model about a model input (S×S×3 uint8 RGB) with each spot blurred."""
    untouched = logits(image)
    label = int(untouched.argmax())
    margin = _margin(untouched, label)
    blurred = cv2.GaussianBlur(image, (0, 0), image.shape[0] / GRID)
    drops = np.array([
        [margin - _margin(logits(_with_spot(image, blurred, row, column)), label) for column in range(GRID)]
        for row in range(GRID)
    ])  # fmt: skip
    return Heat(label, margin, drops)


def drawn(image: Image, heat: Heat) -> Image:
    """The model input (RGB) with the heat laid over it, as BGR: from dark and clear to light yellow (inferno)."""
    strength = np.clip(heat.drops, 0, None) / max(heat.worst, 0.05 * abs(heat.margin), 1e-6)
    return laid_over(image, strength.astype(np.float32))


def laid_over(image: Image, strength: NDArray[np.float32]) -> Image:
    """A picture (H×W×3 uint8 RGB) in grey with heat of any shape, 0 to 1, spread over it; as BGR."""
    height, width = image.shape[:2]
    smooth = np.clip(cv2.resize(strength, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.float32)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2BGR).astype(np.float32)
    cover = 0.75 * smooth[:, :, None]
    mixed: Image = np.clip(grey * (1 - cover) + colours * cover, 0, 255).astype(np.uint8)
    return mixed


def _with_spot(image: Image, blurred: Image, row: int, column: int) -> Image:
    pitch = image.shape[0] / GRID
    ys, xs = (_span(index, pitch, image.shape[0]) for index in (row, column))
    changed = image.copy()
    changed[ys, xs] = blurred[ys, xs]
    return changed


def _span(index: int, pitch: float, size: int) -> slice:
    middle = (index + 0.5) * pitch
    return slice(max(0, round(middle - _REACH * pitch)), min(size, round(middle + _REACH * pitch)))


def _margin(logits: NDArray[np.float32], label: int) -> float:
    others = np.delete(logits.astype(np.float64), label)
    return float(logits[label] - others.max()) if len(others) else float(logits[label])
