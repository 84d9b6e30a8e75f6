"""ONNX models through onnxruntime."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.files import cache_folder
from edgetl.runtime.graphs.onnx import activation_types, read_onnx, refuse_other_files
from edgetl.runtime.interpreters.base import Engine, InterpreterInfo, Kernels, check_image, check_input
from edgetl.runtime.preprocess import Image

_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_DTYPES: dict[str, np.dtype[np.generic]] = {"tensor(uint8)": np.dtype(np.uint8), "tensor(float)": np.dtype(np.float32)}
_ROUNDS_KEPT_LAYERS = "WeightBiasQuantization"  # one of onnxruntime's optimizers


class OnnxInterpreter:
    """An ONNX model with one uint8 or float image input (1×S×S×3) and one output of float logits."""

    def __init__(self, model: bytes, where: str, threads: int, kernels: Kernels, engine: Engine = "auto") -> None:
        import onnxruntime as ort

        refuse_other_files(model, where)
        self._session = open_session(ort, model, where, threads, kernels, engine)
        runs_on = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        if engine == "cuda" and kernels == "fast" and runs_on != "CUDA":
            # It falls back to the processor and says so on stderr alone.
            raise ModelError(f"{where}: CUDA cannot be used here: onnxruntime went back to {runs_on}")
        version = ort.__version__ if runs_on == "CPU" else f"{ort.__version__} {runs_on}"
        name = "onnxruntime" if engine == "auto" else f"onnxruntime-{engine}"
        self.info = InterpreterInfo(name, version, where, threads, kernels)
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
        return self.logits_of(self.raw(image))

    def logits_of(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """What `raw` gave in real numbers."""
        return raw.astype(np.float32)


def providers_for(
    available: list[str], model: bytes, where: str, engine: Engine = "auto"
) -> list[str | tuple[str, dict[str, Any]]]:
    """What onnxruntime may run this model on: by itself TensorRT where it is there and the graph is in its form, else the CPU.

    TensorRT builds an engine for its GPU, which takes minutes, so engines are kept. Without a folder to keep them in,
    every start would take that long, and the CPU answers sooner.
    """
    if engine == "cuda":
        return [_CUDA, _CPU]
    if engine == "cpu" or _TENSORRT not in available or activation_types(read_onnx(model, where)) != {"int8"}:
        return [_CPU]
    cache = _engine_cache(model)
    if cache is None:
        return [_CPU]
    options = {
        "trt_int8_enable": True,  # the graph says where; nothing is calibrated
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(cache),
    }
    # What TensorRT leaves over stays on the GPU where onnxruntime can, so that no picture goes there and back between layers.
    rest: list[str | tuple[str, dict[str, Any]]] = [name for name in (_CUDA, _CPU) if name in (*available, _CPU)]
    return [(_TENSORRT, options), *rest]


def _engine_cache(model: bytes) -> Path | None:
    folder = cache_folder() / "engines" / hashlib.sha256(model).hexdigest()[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def open_session(ort: Any, model: bytes, where: str, threads: int, kernels: Kernels, engine: Engine = "auto") -> Any:
    """A session of onnxruntime with the options that edgetl runs it with. Raises ModelError."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # On x86 without VNNI, uint8 × int8 products are added in pairs in 16 bits and saturate, silently: on AVX2 an int8
    # MobileNetV2 lost 2.6 points of balanced accuracy by it. With this, onnxruntime uses its exact uint8 × uint8
    # kernels there; it has no effect on processors that have VNNI, nor on ARM.
    if kernels != "default":
        options.add_session_config_entry("session.x64quantprecision", "1")
    # New versions (1.23 does) round the weights of a layer that was kept in float between int8 ones, all its channels with one step:
    # of a thousand classes a `mixed` MobileNetV2 then kept fewer (80 %) than one with all layers in int8 (90 %).
    left_out = [_ROUNDS_KEPT_LAYERS] if kernels != "default" else []
    if kernels == "reference":
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = providers_for(ort.get_available_providers(), model, where, engine) if kernels == "fast" else [_CPU]
    try:
        return ort.InferenceSession(model, options, providers=providers, disabled_optimizers=left_out)
    except Exception as error:  # as above
        raise ModelError(f"{where}: onnxruntime refused the model: {error}") from error
