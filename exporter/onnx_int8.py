"""The quantized ONNX model: onnxruntime's static quantization (QDQ), then raw pixels as its input."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.errors import ExportError, StorageError, storage
from edgetl.exporter.calibration import FEWEST, stream
from edgetl.exporter.deadline import NEVER, Deadline
from edgetl.exporter.onnx_pixels import take_pixels_as_they_are
from edgetl.exporter.onnx_ranges import overrides
from edgetl.exporter.onnx_variants import symmetric
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.tflite import refuse_full_disk
from edgetl.runtime.files import write_file

INPUT = "pixels"


def quantize(folder: Path, how: Quantization | None = None, deadline: Deadline = NEVER) -> None:
    """Writes `folder`/PRECISION.onnx from model.onnx and calibration.npy there. Raises ExportError."""
    how = how or Quantization()
    out = folder / f"{how.precision}.onnx"
    try:
        with (
            storage(folder),
            _root_logger_at(logging.ERROR),
        ):  # onnxruntime's tools warn there of what is done on purpose
            graph = folded(folder)
            model = _halved(graph) if how.precision == "float16" else _quantized(folder, graph, how, deadline)
    except (StorageError, ExportError):
        raise
    except Exception as error:  # onnxruntime's tools raise many types
        refuse_full_disk(folder, str(error))
        raise ExportError(f"onnxruntime could not quantize the ONNX graph: {type(error).__name__}: {error}") from error
    if how.precision in ("int8", "mixed"):
        take_raw_pixels(model)
    else:
        take_float_pixels(model)
    onnx.checker.check_model(model)
    with storage(out):
        onnx.save(model, str(out))


@contextmanager
def _root_logger_at(level: int) -> Iterator[None]:
    root = logging.getLogger()
    before = root.level
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)


def folded(folder: Path, *, framed: bool = False) -> Path:
    """`folder`/model.onnx with its batch norms folded and its shapes known; made once. `framed`: whether its first convolution
    takes pixels as they are, where that can be. Raises ExportError, StorageError."""
    out = folder / "folded.onnx"
    if not out.exists():
        try:
            from onnxruntime.quantization.shape_inference import quant_pre_process

            with storage(folder), _root_logger_at(logging.ERROR):
                made = folder / "preprocessed.onnx"
                quant_pre_process(str(folder / "model.onnx"), str(made), skip_symbolic_shape=True)
                if framed:
                    model = onnx.load(str(made))
                    take_pixels_as_they_are(model)
                    onnx.save(model, str(made))
                made.rename(out)
        except StorageError:
            raise
        except Exception as error:  # onnxruntime raises many types
            refuse_full_disk(folder, str(error))
            raise ExportError(f"onnxruntime cannot take the ONNX graph: {type(error).__name__}: {error}") from error
    return out


def _quantized(folder: Path, graph: Path, how: Quantization, deadline: Deadline) -> Any:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    wide = how.precision == "int16"
    pictures = folder / "calibration.npy"
    options = {"QuantizeBias": True, "TensorQuantOverrides": overrides(graph, pictures, how.ranges, deadline)}
    shown = None if how.ranges == "min-max" else FEWEST  # None: all of them
    quantized = folder / "qdq.onnx"
    quantize_static(
        str(graph), str(quantized), _reader(pictures, deadline, shown), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt16 if wide else QuantType.QUInt8, weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax, nodes_to_exclude=list(how.kept), extra_options=options,
    )  # fmt: skip
    return onnx.load(str(quantized))


def _reader(pictures: Path, deadline: Deadline, shown: int | None) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        """Calibration pictures as onnxruntime asks for them."""

        def __init__(self) -> None:
            self._images: Iterator[NDArray[np.float32]] = islice(stream(pictures), shown)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """The next picture as 1×3×S×S, or None."""
            deadline.check()
            image = next(self._images, None)
            return None if image is None else {INPUT: np.ascontiguousarray(image.transpose(0, 3, 1, 2))}

    return Pictures()


def _halved(graph: Path) -> Any:
    """Weights and arithmetic in float16 between a float input and float logits."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    halved = OnnxModel(convert_float_to_float16(onnx.load(str(graph)), keep_io_types=True))
    halved.topological_sort(is_deterministic=True)  # the casts that it adds stand behind what uses them
    return halved.model


def make_symmetric(file: Path) -> None:
    """Rewrites a graph of int8 activations in the form that TensorRT takes."""
    write_file(file, symmetric(file.read_bytes()))


def take_raw_pixels(model: Any) -> None:
    """Replaces the float input and its QuantizeLinear by a 1×S×S×3 uint8 input and a Transpose, in place.

    Allowed because the input's scale is exactly 1 and its zero point 0: the stored value is the pixel.
    """
    graph = model.graph
    quantizing = (node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == INPUT)
    first = next(quantizing, None) or _stored_pixels(graph)
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


def _stored_pixels(graph: Any) -> Any:
    """Where what reads the pixels stayed in float: puts a QuantizeLinear in steps of one pixel value between them, and returns it."""
    stored, real = f"{INPUT}_stored", f"{INPUT}_real"
    steps = [
        numpy_helper.from_array(np.float32(1), f"{INPUT}_scale"),
        numpy_helper.from_array(np.uint8(0), f"{INPUT}_zero"),
    ]
    graph.initializer.extend(steps)
    _read_instead(graph, real)
    graph.node.insert(0, helper.make_node("DequantizeLinear", [stored, *(s.name for s in steps)], [real], name=real))
    graph.node.insert(0, helper.make_node("QuantizeLinear", [INPUT, *(s.name for s in steps)], [stored], name=stored))
    return graph.node[0]


def _read_instead(graph: Any, other: str) -> None:
    """Whatever reads the input reads another tensor."""
    for node in graph.node:
        node.input[:] = [other if name == INPUT else name for name in node.input]


def take_float_pixels(model: Any) -> None:
    """Replaces the input by 1×S×S×3 float pixels and a Transpose, in place: pictures come with channels last."""
    graph = model.graph
    size = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    inner = f"{INPUT}_channels_first"
    _read_instead(graph, inner)
    graph.node.insert(0, helper.make_node("Transpose", [INPUT], [inner], name="to_channels_first", perm=[0, 3, 1, 2]))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, size, size, 3]))
