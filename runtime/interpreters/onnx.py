"""ONNX models through onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.interpreters.base import InterpreterInfo, Kernels, check_image, check_input
from edgetl.runtime.preprocess import Image

_DTYPES: dict[str, np.dtype[np.generic]] = {"tensor(uint8)": np.dtype(np.uint8), "tensor(float)": np.dtype(np.float32)}


class OnnxInterpreter:
    """An ONNX model with one uint8 or float image input (1×S×S×3) and one output of float logits."""

    def __init__(self, model: bytes, where: str, threads: int, kernels: Kernels) -> None:
        import onnxruntime as ort

        self.info = InterpreterInfo("onnxruntime", ort.__version__, where, threads, kernels)
        self._session = _load(ort, model, where, threads, kernels)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(f"{where}: expected one input and one output, got {len(inputs)} and {len(outputs)}")
        shape = tuple(n if isinstance(n, int) else -1 for n in inputs[0].shape)
        if inputs[0].type not in _DTYPES:
            raise ModelError(f"{where}: the input must be uint8 or float32 pixels, got {inputs[0].type}")
        self._dtype = _DTYPES[inputs[0].type]
        self.size = check_input(where, shape, self._dtype, 0.0, 0)
        self._name, self._outputs = inputs[0].name, [outputs[0].name]
        self._where = where

    def raw(self, image: Image) -> NDArray[np.generic]:
        """The output values, shape (labels,)."""
        check_image(image, self.size)
        try:
            out = self._session.run(self._outputs, {self._name: image[None].astype(self._dtype, copy=False)})
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise ModelError(f"{self._where}: inference failed: {error}") from error
        return np.asarray(out[0]).reshape(-1)

    def logits(self, image: Image) -> NDArray[np.float32]:
        """The output in real numbers, shape (labels,)."""
        return self.raw(image).astype(np.float32)


def _load(ort: Any, model: bytes, where: str, threads: int, kernels: Kernels) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # On x86 without VNNI, uint8 × int8 products are added in pairs in 16 bits and saturate, silently: on AVX2 an int8
    # MobileNetV2 lost 2.6 points of balanced accuracy by it. With this, onnxruntime uses its exact uint8 × uint8
    # kernels there; it has no effect on processors that have VNNI, nor on ARM.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if kernels == "reference":
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        # From bytes, onnxruntime has no folder to follow external data into, so a model cannot read other files.
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise ModelError(f"{where}: onnxruntime refused the model: {error}") from error
