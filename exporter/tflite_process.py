"""ONNX to float and int8 TFLite, run as a process of its own: `python -m edgetl.exporter.tflite_process FOLDER`.

TensorFlow's memory is returned when it ends, its many log lines go to a file, and a crash in it is one exit code.
FOLDER holds `model.onnx` and `calibration.npy`; `float32.tflite` and `int8.tflite` are written there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read when TensorFlow is imported: no log of its start-up, no GPU, and the Keras that onnx2tf was written for.
os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="", TF_USE_LEGACY_KERAS="1", TF_ENABLE_ONEDNN_OPTS="0")

import numpy as np

from edgetl.exporter.calibration import stream

# onnx2tf looks for this file in its working directory and downloads it where it is missing; it is read only when
# accuracy checks are on, which are ours to make, so its content does not matter.
SAMPLE_NAME = "calibration_image_sample_data_20x128x128x3_float32.npy"


def convert(folder: Path) -> None:
    """Writes both TFLite files beside the ONNX graph."""
    os.chdir(folder)
    np.save(SAMPLE_NAME, np.zeros((20, 128, 128, 3), np.float32))
    _save_graph(_keras_model())
    Path("float32.tflite").write_bytes(_converter().convert())
    Path("int8.tflite").write_bytes(_int8(_converter()).convert())


def _keras_model() -> Any:
    """The ONNX graph as a Keras model. onnx2tf's own files are not asked for: two of them would take 75 s."""
    import onnx2tf

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
    holder.call, holder.variables_kept = graph, list(model.variables)
    tf.saved_model.save(holder, "saved_model", signatures=graph)


def _converter() -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model("saved_model")


def _int8(converter: Any) -> Any:
    import tensorflow as tf

    def pictures() -> Iterator[list[np.ndarray[Any, Any]]]:
        for image in stream(Path("calibration.npy")):
            yield [image]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pictures
    # Only int8 built-ins: an operator that has none is an error here, not a float island found on the device.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
