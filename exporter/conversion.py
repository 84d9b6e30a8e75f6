"""From a float ONNX graph to the model files of one quantization, TFLite and ONNX side by side."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgetl.errors import storage
from edgetl.exporter import onnx_int8, tflite
from edgetl.exporter.deadline import NEVER, Deadline
from edgetl.exporter.models import ModelFile, model_file
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.tflite import Converter
from edgetl.trainer.allocation import return_freed_memory
from edgetl.trainer.progress import Reporter

ONNX_NAME = "model.onnx"
CALIBRATION_NAME = "calibration.npy"


def timed(reporter: Reporter, name: str, step: Callable[[], None]) -> None:
    """Runs a step and says how long it took."""
    start = time.monotonic()
    step()
    reporter.say(f"{name}: {time.monotonic() - start:.1f} s")


def quantize(
    source: Path, how: Quantization, out: Path, reporter: Reporter, converter: Converter, deadline: Deadline = NEVER,
    float_of: Path | None = None,
) -> tuple[ModelFile, ...]:  # fmt: skip
    """The quantized files of `source`/model.onnx, in `out`; and `float_of`/float32.tflite, if the converter can. Raises ExportError.

    The two quantizations run at once, since TFLite's has a process of its own.
    """
    for folder in (source, float_of):
        if folder is not None:
            folded_onnx(folder)  # here, so that TFLite's process need not bring onnxruntime: 200 MB
    with ThreadPoolExecutor(1) as beside:
        converted = beside.submit(timed, reporter, "TFLite", lambda: tflite.convert(source, how, converter, float_of))
        timed(reporter, "ONNX", lambda: onnx_int8.quantize(source, how, deadline))
        converted.result()
    gc.collect()
    return_freed_memory()  # the quantizers' graphs, which are as large as what measures their files
    made = [model_file(source, how.precision, "tflite"), model_file(source, how.precision, "onnx")]
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        return tuple(ModelFile(m.record, m.path.rename(out / m.path.name)) for m in made)


def float_model(source: Path, converter: Converter) -> ModelFile:
    """The float TFLite file of `source`/model.onnx, converted if that was not done yet."""
    if not has_float(source):
        tflite.convert(source, Quantization(precision="float32"), converter)
    return model_file(source, "float32", "tflite")


def has_float(source: Path) -> bool:
    """Whether that file is there."""
    return model_file(source, "float32", "tflite").path.exists()


def folded_onnx(source: Path, *, framed: bool = False) -> Path:
    """The float ONNX graph as both quantizations take it; what it is when it is made, it stays. `framed`: whether its first
    convolution takes pixels as they are. Raises ExportError, StorageError."""
    return onnx_int8.folded(source, framed=framed)
