"""Quantizes a TFLite graph with ranges of our own: TensorFlow's converter knows only the smallest and largest value.

TensorFlow's calibration writes each tensor's smallest and largest value into the float file, and its quantizer reads
them from there; between the two, they are replaced by what a range rule chooses. Its calibrator takes five times as long for a
picture as LiteRT's plain kernels, so that it is shown the fewest that it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.exporter.calibration import CONSTANT, FEWEST, stream
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.ranges import Range, histograms_of, logits_range, range_of
from edgetl.exporter.second_factors import around_zero, second_factors
from edgetl.runtime.graphs import read_tflite


def quantize(converter: Any, pictures: Path, how: Quantization) -> bytes:
    """The quantized file; `converter` has its calibration pictures set, `pictures` is the same set as a .npy."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    converter._experimental_calibrate_only = True
    if how.ranges != "min-max":
        converter.representative_dataset = lambda: ([image] for image in islice(stream(pictures), FEWEST))
    calibrated = bytes(converter.convert())
    if how.ranges != "min-max":
        calibrated = with_ranges(calibrated, _chosen(calibrated, pictures, how))
    quantized = mlir_quantize(
        calibrated,
        fully_quantize=not how.kept_tflite,
        input_data_type=tf.int8,
        output_data_type=tf.int8,
        denylisted_nodes=set(how.kept_tflite) or None,
    )
    return bytes(quantized)


def _chosen(calibrated: bytes, pictures: Path, how: Quantization) -> dict[int, Range]:
    """The rule's range for every activation but the input, whose step must be one pixel value; the logits have their own, and
    what is multiplied as weights are lies around zero."""
    graph, watched = read_tflite(calibrated, "calibrated.tflite"), _watched(calibrated)
    chosen = {
        index: logits_range(h) if index in graph.outputs else range_of(h, how.ranges)
        for index, h in histograms_of(watched, lambda: _seen(calibrated, pictures, watched)).items()
    }
    return {**chosen, **{i: around_zero(chosen[i]) for i in second_factors(graph) if i in chosen}}


def _watched(calibrated: bytes) -> list[int]:
    """The tensors that were calibrated, but for the input."""
    graph = _graph(calibrated).subgraphs[0]
    ends = set(graph.inputs)
    return [
        index for index, tensor in enumerate(graph.tensors)
        if index not in ends and tensor.quantization is not None and tensor.quantization.min is not None
        and len(tensor.quantization.min)
    ]  # fmt: skip


def _seen(calibrated: bytes, pictures: Path, watched: list[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The watched tensors, as each picture fills them."""
    import tensorflow as tf

    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate hides tensors
    interpreter = tf.lite.Interpreter(
        model_content=calibrated, experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain
    )
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    for image in islice(stream(pictures), CONSTANT, None):
        interpreter.set_tensor(given, image)
        interpreter.invoke()
        for index in watched:
            yield index, np.asarray(interpreter.get_tensor(index), np.float32)


def with_ranges(calibrated: bytes, chosen: dict[int, Range]) -> bytes:
    """The calibrated file with other ranges for some tensors (by index)."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = _graph(calibrated)
    for index, (low, high) in chosen.items():
        quantization = model.subgraphs[0].tensors[index].quantization
        quantization.min, quantization.max = [low], [high]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _graph(data: bytes) -> Any:
    from tensorflow.lite.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(data))
