"""Preprocessing, interpreter and decision of one bundle, put together."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import Decision, DecisionRule, decide
from edgetl.runtime.interpreters.base import Interpreter
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess


class Opinion(msgspec.Struct, frozen=True):
    """What the model says of one picture: its logits (one a label) and the decision that follows."""

    decision: Decision
    logits: NDArray[np.float32]


class Inspector:
    """Judges frames with one bundle's model. One thread at a time."""

    def __init__(self, interpreter: Interpreter, preprocessing: Preprocessing, rule: DecisionRule) -> None:
        self.interpreter = interpreter
        self.preprocessing = preprocessing
        self.rule = rule
        self._uncut = msgspec.structs.replace(preprocessing, region=None)

    @classmethod
    def of(cls, bundle: Bundle, interpreter: Interpreter) -> Inspector:
        """The inspector of a bundle, with one of its models already loaded."""
        return cls(interpreter, bundle.manifest.preprocessing, bundle.manifest.rule)

    def prepare(self, frame: Image, *, whole: bool = False) -> Image:
        """The model's input (S×S×3 uint8 RGB) of a frame (H×W×3 uint8 BGR), or of a `whole` piece of one."""
        return preprocess(frame, self._uncut if whole else self.preprocessing)

    def judge(self, prepared: Image, rule: DecisionRule | None = None) -> Opinion:
        """The opinion on a prepared picture, by the bundle's rule or another one for the same labels."""
        logits = self.interpreter.logits(prepared)
        return Opinion(decide(logits, rule or self.rule), logits)
