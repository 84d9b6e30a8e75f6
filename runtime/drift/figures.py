"""What is watched: figures of the model's input and of its answer, from the inference that was made anyway."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import Reference, confidence_of, figures_of, novelty_of

Sense = Literal["both", "up", "down"]


class Figure(msgspec.Struct, frozen=True):
    """A watched figure: what people call it, its unit, and in which direction a move is worth telling."""

    name: str
    said: str
    unit: str
    sense: Sense = "both"


# Red, green and blue move with the brightness, so colour is watched as shares; the share of black is the contrast's
# and the brightness's business, and the score's range ends at 1 where the margin's goes on.
WATCHED = (
    Figure("brightness", "brightness", "grey levels"),
    Figure("contrast", "contrast", "grey levels"),
    Figure("sharpness", "sharpness", ""),
    Figure("red_share", "share of red", ""),
    Figure("blue_share", "share of blue", ""),
    Figure("white", "share of white pixels", "", "up"),
    Figure("margin", "the model's margin", "", "down"),
    Figure("energy", "the model's evidence", "", "down"),
    Figure("novelty", "distance from known logits", "", "up"),
)
SIDES = sum(2 if figure.sense == "both" else 1 for figure in WATCHED)

Row = dict[str, float]


def observe(
    image: Image, logits: NDArray[np.float32], label: str, temperature: float, reference: Reference | None
) -> Row:
    """The watched figures of one judged picture; image S×S×3 uint8 RGB, logits one a label.

    With a reference each is freed of its label's part, so that another mix of labels is not taken for drift.
    """
    found = figures_of(image) | confidence_of(logits, temperature)
    sure = reference.confidence if reference is not None else None
    if sure is not None and label in sure.logits:
        found["novelty"] = novelty_of(logits, sure.logits[label])
    return {f.name: found[f.name] - _of_label(f.name, label, reference) for f in WATCHED if f.name in found}


def _of_label(name: str, label: str, reference: Reference | None) -> float:
    """How far a label's pictures lie from all pictures in this figure, at export."""
    if reference is None:
        return 0.0
    sure = reference.confidence
    for means, figures in ((reference.by_label, reference.figures), (sure and sure.by_label, sure and sure.figures)):
        if means and figures and label in means and name in means[label]:
            return means[label][name] - figures[name].mean
    return 0.0
