"""ONNX to float and quantized TFLite, run as a process of its own: `python -m edgetl.exporter.tflite_process FOLDER [FLOAT]`.

TensorFlow's memory is returned when it ends, its many log lines go to a file, and a crash in it is one exit code.
FOLDER holds `model.onnx`, `calibration.npy` and `quantization.json`; `float32.tflite` and the quantized file are
written there, and the saved graph stays for another quantization of the same net. Of FLOAT, a folder with other weights of that
net, only the float file is made: TensorFlow takes longer to begin than to convert.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read when TensorFlow is imported: no log of its start-up, no GPU, and the Keras that onnx2tf was written for.
os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="", TF_USE_LEGACY_KERAS="1", TF_ENABLE_ONEDNN_OPTS="0")

import msgspec
import numpy as np

from edgetl.exporter.calibration import stream
from edgetl.exporter.channels_last import keep_depthwise
from edgetl.exporter.pixel_rows import with_rows
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.tflite import ORDER_NAME

# onnx2tf looks for this file in its working directory and downloads it where it is missing; it is read only when
# accuracy checks are on, which are ours to make, so its content does not matter.
SAMPLE_NAME = "calibration_image_sample_data_20x128x128x3_float32.npy"
FLOAT_NAME = "float32.tflite"


def convert(folder: Path) -> None:
    """Writes the TFLite files that are wanted beside the ONNX graph."""
    convert_float(folder)
    how = msgspec.json.decode(Path(ORDER_NAME).read_bytes(), type=Quantization)
    if how.precision != "float32":
        _write(f"{how.precision}.tflite", _quantized(how))


def convert_float(folder: Path) -> None:
    """Writes the float file beside the ONNX graph, unless it is there, and stays in that folder."""
    os.chdir(folder)
    if not Path(FLOAT_NAME).exists():
        np.save(SAMPLE_NAME, np.zeros((20, 128, 128, 3), np.float32))
        _save_graph(_keras_model())
        _write(FLOAT_NAME, bytes(_converter().convert()))


def _write(name: str, model: bytes) -> None:
    from tensorflow.lite.python import schema_py_generated

    Path(name).write_bytes(with_rows(model, schema_py_generated))


def _keras_model() -> Any:
    """The ONNX graph as a Keras model. onnx2tf's own files are not asked for: two of them would take 75 s."""
    import onnx2tf
    import tensorflow as tf

    keep_depthwise()
    tf.keras.backend.clear_session()  # else the layers of a second net are counted on from the first's, and named so in its file
    return onnx2tf.convert(
        input_onnx_file_path="model.onnx", output_folder_path="onnx2tf", not_use_onnxsim=True, disable_model_save=True,
        verbosity="error",
    )  # fmt: skip


def _save_graph(model: Any) -> None:
    """Saves the model's graph without its Keras layers, whose bookkeeping takes 37 s to save and nobody reads."""
    import tensorflow as tf

    call = tf.function(lambda pixels: model(pixels))
    graph = call.get_concrete_function(tf.TensorSpec(model.inputs[0].shape, tf.float32, name="pixels"))
    holder = tf.Module()
    # Those of grouped convolutions are no variables of the model: onnx2tf makes them with another Keras.
    holder.call, holder.variables_kept = graph, list(graph.variables)
    tf.saved_model.save(holder, "saved_model", signatures=graph)


def _converter() -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model("saved_model")


def _quantized(how: Quantization) -> bytes:
    converter = _converter()
    if how.precision == "float16":
        return _float16(converter)
    if how.precision == "int16":
        return _int16(converter)
    if how.ranges == "min-max" and not how.kept_tflite:
        return _int8(converter)
    from edgetl.exporter import tflite_ranges

    return tflite_ranges.quantize(_calibrating(converter), Path("calibration.npy"), how)


def _float16(converter: Any) -> bytes:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _int16(converter: Any) -> bytes:
    """int8 weights and int16 activations. Pixels go in as floats, since an int16 step is no whole pixel value."""
    import tensorflow as tf

    wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter = _calibrating(converter)
    converter.target_spec.supported_ops = [wide]
    return _with_steps_for_zeros(bytes(converter.convert()))


def _with_steps_for_zeros(model: bytes) -> bytes:
    """The file with a step of 1 for tensors of nothing but zeros, such as a norm's shift as it began: their own is 0, of which no
    kernel can make another step."""
    from tensorflow.lite.tools import flatbuffer_utils

    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for tensor in graph.subgraphs[0].tensors:
        scale = None if tensor.quantization is None else tensor.quantization.scale
        if scale is not None and not np.all(scale):
            tensor.quantization.scale = [float(step) or 1.0 for step in scale]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(graph))


def _int8(converter: Any) -> bytes:
    import tensorflow as tf

    converter = _calibrating(converter)
    # Only int8 built-ins: an operator that has none is an error here, not a float island found on the device.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _calibrating(converter: Any) -> Any:
    import tensorflow as tf

    def pictures() -> Iterator[list[np.ndarray[Any, Any]]]:
        for image in stream(Path("calibration.npy")):
            yield [image]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pictures
    return converter


if __name__ == "__main__":
    wanted = [Path(folder).resolve() for folder in sys.argv[1:]]
    convert(wanted[0])
    for other in wanted[1:]:
        convert_float(other)
