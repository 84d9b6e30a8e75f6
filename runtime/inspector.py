"""Preprocessing, interpreter and decision of one bundle, put together."""

from __future__ import annotations

from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import Decision, DecisionRule, decide
from edgetl.runtime.interpreters.base import Interpreter
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess


class Inspector:
    """Judges frames with one bundle's model. One thread at a time."""

    def __init__(self, interpreter: Interpreter, preprocessing: Preprocessing, rule: DecisionRule) -> None:
        self.interpreter = interpreter
        self.preprocessing = preprocessing
        self.rule = rule

    @classmethod
    def of(cls, bundle: Bundle, interpreter: Interpreter) -> Inspector:
        """The inspector of a bundle, with one of its models already loaded."""
        return cls(interpreter, bundle.manifest.preprocessing, bundle.manifest.rule)

    def prepare(self, frame: Image) -> Image:
        """The model's input (S×S×3 uint8 RGB) of a frame (H×W×3 uint8 BGR)."""
        return preprocess(frame, self.preprocessing)

    def judge(self, prepared: Image) -> Decision:
        """The decision for a prepared picture."""
        return decide(self.interpreter.logits(prepared), self.rule)
