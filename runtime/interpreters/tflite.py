"""TFLite models through LiteRT (`ai-edge-litert`) or `tflite-runtime`: the same Python interface, two libraries."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.graphs import read_tflite
from edgetl.runtime.interpreters.base import InterpreterInfo, Kernels, Quantization, check_image, check_input
from edgetl.runtime.preprocess import Image

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
DISTRIBUTIONS = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}

_HALF = np.uint8(0x80)  # as a plain number it is converted at each call

# What the libraries raise for a file that they cannot use; a size that no memory holds is one of the reasons.
_REFUSALS = (ValueError, RuntimeError, TypeError, MemoryError, OverflowError)


class TfliteInterpreter:
    """A TFLite model with one image input and one output of logits."""

    def __init__(self, library: str, model: bytes, where: str, threads: int, kernels: Kernels) -> None:
        _check_header(model, where)
        if library == "tflite-runtime":
            # It follows every offset in the file unchecked, and a damaged file ends the process; LiteRT looks first.
            read_tflite(model, where)
        self.info = InterpreterInfo(
            library, importlib.metadata.version(DISTRIBUTIONS[library]), where, threads, kernels
        )
        self._interpreter = open_library(MODULES[library], model, where, threads, kernels)
        inputs, outputs = _ports(self._interpreter, where)
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(f"{where}: expected one input and one output, got {len(inputs)} and {len(outputs)}")
        scale, zero = inputs[0]["quantization"]
        self._dtype = np.dtype(inputs[0]["dtype"])
        shape = tuple(int(n) for n in inputs[0]["shape"])
        self.size = check_input(where, shape, self._dtype, float(scale), int(zero))
        self._input = self._interpreter.tensor(inputs[0]["index"])
        self._output: int = outputs[0]["index"]
        self._out, stored = Quantization(*outputs[0]["quantization"]), np.dtype(outputs[0]["dtype"])
        if self._out.scale == 0.0 and stored != np.float32:
            raise ModelError(f"{where}: the output must be logits with a scale, got {stored} without")
        # What each byte stands for: after an inference the caches are cold, and one look-up costs less than four sums.
        every = np.arange(256, dtype=np.uint8).view(stored) if stored.itemsize == 1 else None
        self._reals = None if every is None else self._out.dequantize(every)
        self._where = where

    def raw(self, image: Image) -> NDArray[np.generic]:
        """The stored output values, shape (labels,)."""
        check_image(image, self.size)
        # Views into the interpreter's memory must not outlive their line: they would block the next invoke.
        if self._dtype == np.int8:
            np.bitwise_xor(image, _HALF, out=self._input().view(np.uint8))  # x − 128 of a uint8, as int8
        else:
            np.copyto(self._input(), image)
        try:
            self._interpreter.invoke()
        except _REFUSALS as error:
            raise ModelError(f"{self._where}: inference failed: {error}") from error
        values: NDArray[np.generic] = self._interpreter.get_tensor(self._output).reshape(-1)
        return values

    def logits(self, image: Image) -> NDArray[np.float32]:
        """The output in real numbers, shape (labels,)."""
        return self.logits_of(self.raw(image))

    def logits_of(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """What `raw` gave in real numbers."""
        return self._out.dequantize(raw) if self._reals is None else self._reals[raw.view(np.uint8)]


def _ports(interpreter: Any, where: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        return interpreter.get_input_details(), interpreter.get_output_details()
    except _REFUSALS as error:  # a name that is not UTF-8, for one
        raise ModelError(f"{where}: its inputs and outputs cannot be read: {error}") from error


def _check_header(model: bytes, where: str) -> None:
    """tflite-runtime ends the process on a buffer too short to hold a header, so that is looked at first."""
    if len(model) < 256 or model[4:8] != b"TFL3":
        raise ModelError(f"{where}: not a TFLite model ({len(model)} bytes, no TFL3 mark)")
    root = int.from_bytes(model[:4], "little")
    if not 8 <= root < len(model) - 4:
        raise ModelError(f"{where}: a damaged TFLite model (its root lies outside the file)")


def open_library(module: str, model: bytes, where: str, threads: int, kernels: Kernels) -> Any:
    """The library's own interpreter, ready to be invoked, as edgetl runs it. Raises ModelError."""
    library = importlib.import_module(module)
    resolvers = library.OpResolverType
    resolver = {
        "fast": resolvers.AUTO,
        "reference": resolvers.BUILTIN_REF,
        "default": resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }[kernels]
    try:
        interpreter = library.Interpreter(
            model_content=model,
            num_threads=threads,
            experimental_op_resolver_type=resolver,
        )
        interpreter.allocate_tensors()
    except _REFUSALS as error:
        raise ModelError(f"{where}: the interpreter refused the model: {error}") from error
    return interpreter
