"""ONNX graphs of a few nodes, and what onnxruntime and LiteRT make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.exporter.lowering.graph import Graph
from edgetl.exporter.lowering.writing import packed

SHAPE = (1, 3, 9, 8)  # channels, rows and columns that cannot be mistaken for each other
Array = NDArray[np.float32]


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """One node; names are divided by blanks, and `_` is an input that is left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), name=f"node_{outputs.split()[0]}", **attributes)


def write(
    folder: Path, nodes: Sequence[onnx.NodeProto], constants: dict[str, Any], shape: Sequence[int] = SHAPE
) -> Path:
    """Writes a graph from `pixels` to `logits`, with its shapes inferred."""
    graph = helper.make_graph(
        list(nodes), "net", [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, list(shape))],
        [helper.make_empty_tensor_value_info("logits")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    path = folder / "folded.onnx"
    onnx.save(inferred, str(path))
    return path


def pictures(count: int = 5, shape: Sequence[int] = SHAPE) -> list[Array]:
    """Inputs by seed, as ONNX takes them, with values on both sides of zero."""
    random = np.random.default_rng(0)
    return [random.normal(0, 2, shape).astype(np.float32) for _ in range(count)]


def by_onnx(path: Path, given: Sequence[Array]) -> list[Array]:
    """onnxruntime's answers."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"pixels": one})[0] for one in given]


def by_litert(graph: Graph | bytes, given: Sequence[Array], kernels: str = "AUTO") -> list[Array]:
    """LiteRT's answers as real numbers; integers are made of the inputs by the steps that the file says."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data = packed(graph) if isinstance(graph, Graph) else graph
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType[kernels])
    interpreter.allocate_tensors()
    (port,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for one in given:
        last = np.ascontiguousarray(one.transpose(0, 2, 3, 1))
        interpreter.set_tensor(port["index"], _stored(last, port))
        interpreter.invoke()
        found.append(_real(interpreter.get_tensor(result["index"]), result))
    return found


def _stored(values: Array, port: dict[str, Any]) -> NDArray[Any]:
    if port["dtype"] == np.float32:
        return values
    scale, zero = port["quantization"]
    ends = np.iinfo(port["dtype"])
    return np.clip(np.rint(values / scale) + zero, ends.min, ends.max).astype(port["dtype"])  # type: ignore[no-any-return]


def _real(values: NDArray[Any], port: dict[str, Any]) -> Array:
    if port["dtype"] == np.float32:
        return values.copy()
    scale, zero = port["quantization"]
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)  # type: ignore[no-any-return]
