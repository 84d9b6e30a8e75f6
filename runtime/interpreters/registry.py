"""Which interpreters are installed, and how each is opened."""

from __future__ import annotations

import importlib.util

from edgetl.errors import MissingPartError, UsageError
from edgetl.runtime.interpreters.base import Interpreter, Kernels
from edgetl.runtime.manifest import ModelFormat

# name: (the module whose presence means that it is installed, the model format it reads, the extra that brings it)
INTERPRETERS: dict[str, tuple[str, ModelFormat, str]] = {
    "litert": ("ai_edge_litert", "tflite", "device"),
    "tflite-runtime": ("tflite_runtime", "tflite", "device-tflite"),
    "onnxruntime": ("onnxruntime", "onnx", "export"),
}


def available(format: ModelFormat | None = None) -> tuple[str, ...]:
    """Names of the interpreters installed here, of those that read `format` if one is given. Imports none."""
    return tuple(
        name
        for name, (module, reads, _) in INTERPRETERS.items()
        if (format is None or reads == format) and importlib.util.find_spec(module) is not None
    )


def format_of(name: str) -> ModelFormat:
    """The model format that an interpreter reads. Raises UsageError for an unknown name."""
    if name not in INTERPRETERS:
        raise UsageError(f"unknown interpreter {name!r}; choose from {', '.join(INTERPRETERS)}")
    return INTERPRETERS[name][1]


def open_interpreter(name: str, model: bytes, where: str, threads: int = 1, kernels: Kernels = "fast") -> Interpreter:
    """Loads a model file's bytes; `where` names it in messages. Raises ModelError, MissingPartError."""
    format = format_of(name)
    if name not in available():
        raise MissingPartError(f"{name} is not installed; run: pip install 'edgetl[{INTERPRETERS[name][2]}]'")
    if format == "onnx":
        from edgetl.runtime.interpreters.onnx import OnnxInterpreter

        return OnnxInterpreter(model, where, threads, kernels)
    from edgetl.runtime.interpreters.tflite import TfliteInterpreter

    return TfliteInterpreter(name, model, where, threads, kernels)
