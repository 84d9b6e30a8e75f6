"""TFLite models through LiteRT (`ai-edge-litert`) or `tflite-runtime`: the same Python interface, two libraries."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.interpreters.base import InterpreterInfo, Kernels, Quantization, check_image, check_input
from edgetl.runtime.preprocess import Image

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
DISTRIBUTIONS = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


class TfliteInterpreter:
    """A TFLite model with one image input and one output of logits."""

    def __init__(self, library: str, model: bytes, where: str, threads: int, kernels: Kernels) -> None:
        _check_header(model, where)
        self.info = InterpreterInfo(
            library, importlib.metadata.version(DISTRIBUTIONS[library]), where, threads, kernels
        )
        self._interpreter = _load(MODULES[library], model, where, threads, kernels)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(f"{where}: expected one input and one output, got {len(inputs)} and {len(outputs)}")
        scale, zero = inputs[0]["quantization"]
        self._dtype = np.dtype(inputs[0]["dtype"])
        shape = tuple(int(n) for n in inputs[0]["shape"])
        self.size = check_input(where, shape, self._dtype, float(scale), int(zero))
        self._input = self._interpreter.tensor(inputs[0]["index"])
        self._output = self._interpreter.tensor(outputs[0]["index"])
        self._out = Quantization(*outputs[0]["quantization"])
        self._where = where

    def raw(self, image: Image) -> NDArray[np.generic]:
        """The stored output values, shape (labels,)."""
        check_image(image, self.size)
        # The view into the interpreter's memory must not outlive this line: it would block the next invoke.
        target = self._input()[0]
        if self._dtype == np.int8:
            np.bitwise_xor(image, 0x80, out=target.view(np.uint8))  # x − 128 of a uint8, as int8
        else:
            np.copyto(target, image)
        del target
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(f"{self._where}: inference failed: {error}") from error
        return np.array(self._output()[0]).reshape(-1)

    def logits(self, image: Image) -> NDArray[np.float32]:
        """The output in real numbers, shape (labels,)."""
        return self._out.dequantize(self.raw(image))


def _check_header(model: bytes, where: str) -> None:
    """tflite-runtime ends the process on a buffer too short to hold a header, so that is looked at first."""
    if len(model) < 256 or model[4:8] != b"TFL3":
        raise ModelError(f"{where}: not a TFLite model ({len(model)} bytes, no TFL3 mark)")
    root = int.from_bytes(model[:4], "little")
    if not 8 <= root < len(model) - 4:
        raise ModelError(f"{where}: a damaged TFLite model (its root lies outside the file)")


def _load(module: str, model: bytes, where: str, threads: int, kernels: Kernels) -> Any:
    library = importlib.import_module(module)
    resolver = library.OpResolverType
    try:
        interpreter = library.Interpreter(
            model_content=model,
            num_threads=threads,
            experimental_op_resolver_type=resolver.BUILTIN_REF if kernels == "reference" else resolver.AUTO,
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{where}: the interpreter refused the model: {error}") from error
    return interpreter
