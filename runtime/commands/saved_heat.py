"""What `edgetl run --save` draws over a part that a one-class bundle does not find good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgetl.runtime.anomaly.drawing import on_frame, strength_of
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.interpreters import choose
from edgetl.runtime.interpreters.scoring import ScoringInterpreter
from edgetl.runtime.preprocess import Image, preprocess


def saved_heat(bundle: Bundle | None, regions: tuple[Any, ...]) -> Callable[[Image], Image] | None:
    """Draws a frame's distances over it; None for a classifier. It has a model of its own, since it works beside the line.
    The regions of a line's file would each need a map, and get none."""
    if bundle is None or bundle.manifest.detector is None or regions:
        return None
    model, how = choose(bundle)[0], bundle.manifest.preprocessing
    assert isinstance(model, ScoringInterpreter)

    def drawn(frame: Image) -> Image:
        return on_frame(frame, strength_of(model.distances(preprocess(frame, how)), model.detector.threshold), how)

    return drawn
