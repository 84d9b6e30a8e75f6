"""Which interpreters are installed, and how each is opened."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgetl.errors import MissingPartError, UsageError
from edgetl.runtime.interpreters.base import Engine, Kernels, OpenedModel
from edgetl.runtime.manifest import ModelFormat

# name: (the module whose presence means that it is installed, the model format it reads, the extra that brings it)
INTERPRETERS: dict[str, tuple[str, ModelFormat, str]] = {
    "litert": ("ai_edge_litert", "tflite", "device"),
    "tflite-runtime": ("tflite_runtime", "tflite", "device-tflite"),
    "onnxruntime": ("onnxruntime", "onnx", "device-onnx"),
}

# Other ways to run onnxruntime, where its build has more than the processor; `onnxruntime` by itself takes TensorRT there for
# graphs in its form, and the processor for all others.
ENGINES: dict[str, Engine] = {"onnxruntime-cpu": "cpu", "onnxruntime-cuda": "cuda"}


def engines(libraries: Path | None = None) -> tuple[str, ...]:
    """The other ways that there are here, by the libraries that came with onnxruntime. Imports nothing."""
    if libraries is None:
        spec = importlib.util.find_spec("onnxruntime")
        if spec is None or not spec.submodule_search_locations:
            return ()
        libraries = Path(spec.submodule_search_locations[0]) / "capi"
    has = {name: any(libraries.glob(f"*onnxruntime_providers_{name}.*")) for name in ("cuda", "tensorrt")}
    return tuple(
        name for name, there in (("onnxruntime-cpu", has["tensorrt"]), ("onnxruntime-cuda", has["cuda"])) if there
    )


def available(format: ModelFormat | None = None) -> tuple[str, ...]:
    """Names of the interpreters installed here, of those that read `format` if one is given. Imports none."""
    return tuple(
        name
        for name, (module, reads, _) in INTERPRETERS.items()
        if (format is None or reads == format) and importlib.util.find_spec(module) is not None
    )


def format_of(name: str) -> ModelFormat:
    """The model format that an interpreter reads. Raises UsageError for an unknown name."""
    name = "onnxruntime" if name in ENGINES else name
    if name not in INTERPRETERS:
        raise UsageError(f"unknown interpreter {name!r}; choose from {', '.join(INTERPRETERS)}")
    return INTERPRETERS[name][1]


def open_interpreter(name: str, model: bytes, where: str, threads: int = 1, kernels: Kernels = "fast") -> OpenedModel:
    """Loads a model file's bytes; `where` names it in messages. Raises ModelError, MissingPartError."""
    format = format_of(name)
    if name in ENGINES and name not in engines():
        raise MissingPartError(f"{name}: onnxruntime is not installed here, or was built without it")
    if name not in ENGINES and name not in available():
        raise MissingPartError(f"{name} is not installed; run: pip install 'edgetl[{INTERPRETERS[name][2]}]'")
    if format == "onnx":
        from edgetl.runtime.interpreters.onnx import OnnxInterpreter

        return OnnxInterpreter(model, where, threads, kernels, ENGINES.get(name, "auto"))
    from edgetl.runtime.interpreters.tflite import TfliteInterpreter

    return TfliteInterpreter(name, model, where, threads, kernels)
