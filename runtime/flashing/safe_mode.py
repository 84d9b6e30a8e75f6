"""Inspection without a model: every part is a FAULT that says why, and a flash still finds the service answering."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters.base import InterpreterInfo
from edgetl.runtime.preprocess import Image, Preprocessing
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Doubt


class _NoModel:
    """Stands where an interpreter stands and is never asked."""

    info = InterpreterInfo("none", "", "none: safe mode", 0, "fast")
    size = 16

    def raw(self, image: Image) -> NDArray[np.generic]:
        raise AssertionError("safe mode judges nothing")

    def logits(self, image: Image) -> NDArray[np.float32]:
        raise AssertionError("safe mode judges nothing")


def no_model() -> Inspector:
    """An inspector for a line on which nothing is trusted."""
    return Inspector(_NoModel(), Preprocessing(size=16), DecisionRule(labels=("none",), ok_labels=()))


def nothing_trusted(reason: str) -> Callable[[Frame], Doubt]:
    """Says of every frame that it must not be judged, and why."""
    doubt = Doubt("FAULT", f"safe mode: {reason}")
    return lambda _: doubt
