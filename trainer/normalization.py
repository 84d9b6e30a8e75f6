"""What a file of weights expects of its input: the mean that is subtracted and the deviation that is divided by."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from edgetl.errors import UsageError

Channels = tuple[float, float, float]


class Normalization(msgspec.Struct, frozen=True):
    """Mean and standard deviation of red, green and blue, of pixels from 0 to 1."""

    mean: Channels
    std: Channels


# As timm names them.
NAMED = {
    "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # −1 to 1, as TensorFlow's nets want it
    "unit": Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # 0 to 1
}
AUTO = "auto"


def normalization_of(asked: str) -> Normalization | None:
    """What `--normalization` means: None for auto, a name, or `R,G,B/R,G,B`. Raises UsageError."""
    if asked == AUTO:
        return None
    if asked in NAMED:
        return NAMED[asked]
    mean, _, std = asked.partition("/")
    try:
        return _checked(mean, std)
    except ValueError as error:
        raise UsageError(
            f"--normalization {asked}: neither {AUTO}, {', '.join(NAMED)} nor three means and three deviations of pixels "
            "from 0 to 1, as in 0.5,0.5,0.5/0.25,0.25,0.25"
        ) from error


def noted(metadata: Mapping[str, str]) -> Normalization | None:
    """The normalization that a .safetensors file notes as `mean` and `std`; None where it notes none. Raises ValueError."""
    if "mean" not in metadata and "std" not in metadata:
        return None
    return _checked(metadata.get("mean", ""), metadata.get("std", ""))


def _checked(mean: str, std: str) -> Normalization:
    found = Normalization(_three(mean), _three(std))
    if min(found.std) <= 0:
        raise ValueError("a deviation must be above 0")
    return found


def _three(text: str) -> Channels:
    red, green, blue = (float(part) for part in text.strip(" ()[]").split(","))
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError("not a number")
    return red, green, blue
