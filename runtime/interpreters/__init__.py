"""One small interface over LiteRT, tflite-runtime and onnxruntime."""

from edgetl.runtime.interpreters.base import Interpreter, InterpreterInfo, Kernels, OpenedModel
from edgetl.runtime.interpreters.choice import Choice, choose, open_named
from edgetl.runtime.interpreters.registry import available, open_interpreter

__all__ = [
    "Choice", "Interpreter", "InterpreterInfo", "Kernels", "OpenedModel", "available", "choose", "open_interpreter", "open_named",
]  # fmt: skip
