"""The int8 ONNX model: onnxruntime's static quantization (QDQ), then raw uint8 pixels as its input."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.errors import ExportError
from edgetl.exporter.calibration import stream

INPUT = "pixels"


def quantize(folder: Path) -> None:
    """Writes `folder`/int8.onnx from model.onnx and calibration.npy there. Raises ExportError."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        """Calibration pictures as onnxruntime asks for them."""

        def __init__(self) -> None:
            self._images: Iterator[NDArray[np.float32]] = stream(folder / "calibration.npy")

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """The next picture as 1×3×S×S, or None."""
            image = next(self._images, None)
            return None if image is None else {INPUT: np.ascontiguousarray(image.transpose(0, 3, 1, 2))}

    logging.getLogger("root").setLevel(logging.ERROR)
    folded, quantized = folder / "folded.onnx", folder / "qdq.onnx"
    try:
        quant_pre_process(str(folder / "model.onnx"), str(folded), skip_symbolic_shape=True)
        quantize_static(
            str(folded), str(quantized), Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            extra_options={"QuantizeBias": True},
        )  # fmt: skip
    except Exception as error:  # onnxruntime's tools raise many types
        raise ExportError(f"onnxruntime could not quantize the ONNX graph: {type(error).__name__}: {error}") from error
    model = onnx.load(str(quantized))
    take_raw_pixels(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "int8.onnx"))


def take_raw_pixels(model: Any) -> None:
    """Replaces the float input and its QuantizeLinear by a 1×S×S×3 uint8 input and a Transpose, in place.

    Allowed because the input's scale is exactly 1 and its zero point 0: the stored value is the pixel.
    """
    graph = model.graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == INPUT)
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    scale, zero = float(constants[first.input[1]]), int(constants[first.input[2]])
    if abs(scale - 1.0) > 1e-6 or zero != 0:
        raise ExportError(f"the ONNX input step is {scale:g} with zero point {zero}, not one pixel value")
    size = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    turned = helper.make_node("Transpose", [INPUT], [first.output[0]], name="to_channels_first", perm=[0, 3, 1, 2])
    position = list(graph.node).index(first)
    graph.node.remove(first)
    graph.node.insert(position, turned)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, size, size, 3]))
