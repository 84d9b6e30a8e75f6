"""Ranges of an ONNX graph's activations by a rule of ours, as onnxruntime's quantizer takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.exporter.calibration import CONSTANT, stream
from edgetl.exporter.deadline import NEVER, Deadline
from edgetl.exporter.onnx_pixels import framing
from edgetl.exporter.quantization import RangeRule
from edgetl.exporter.ranges import PIXEL_RANGE, Range, bounded, histograms_of, range_of

# They move values or choose among them, so that their results have the range of what goes in.
MOVES = {"Reshape", "Flatten", "Transpose", "MaxPool", "Squeeze", "Unsqueeze", "Identity"}
_OPEN: Range = (-math.inf, math.inf)  # the ends of a clip that names none
# Their results are no activations.
_NO_ACTIVATIONS = {"Shape", "Constant"}


def overrides(
    model: Path, pictures: Path, rule: RangeRule, deadline: Deadline = NEVER
) -> dict[str, list[dict[str, Any]]]:
    """The rule's range for every activation but the input, by tensor name; the logits have their own. What holds pixels and
    nothing else has one in which a step is one pixel value, and nothing besides has one by `min-max`, onnxruntime's own rule."""
    graph = onnx.load(str(model), load_external_data=False).graph
    ranges = dict.fromkeys(framing(graph), PIXEL_RANGE)
    if rule != "min-max":
        ranges |= _by_rule(graph, model, pictures, rule, deadline)
    return {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()}


def _by_rule(graph: Any, model: Path, pictures: Path, rule: RangeRule, deadline: Deadline) -> dict[str, Range]:
    logits = {output.name for output in graph.output}
    session, names = _watched(model)
    ranges = {
        name: range_of(h, rule, logits=name in logits)
        for name, h in histograms_of(names, lambda: _seen(session, names, pictures, deadline)).items()
    }
    ranges |= {name: bounded(ranges[name], b) for name, b in _bounds(graph).items() if name in ranges}
    for node in graph.node:  # what is not rounded where it is made (a mean, a GELU) is rounded where it was moved to
        if node.op_type in MOVES and node.input[0] in ranges and node.output[0] not in logits:
            ranges[node.output[0]] = ranges[node.input[0]]
    return ranges


def _bounds(graph: Any) -> dict[str, Range]:
    """Between which values the results of clips lie. A clip without known ends is left as it is."""
    known = {constant.name: constant for constant in graph.initializer}
    found = {node.output[0]: (0.0, math.inf) for node in graph.node if node.op_type == "Relu"}
    for node in graph.node:
        ends = [*node.input[1:], "", ""][:2]
        if node.op_type == "Clip" and all(name in known or not name for name in ends):
            low, high = (
                float(onnx.numpy_helper.to_array(known[n])) if n else o for n, o in zip(ends, _OPEN, strict=True)
            )
            found[node.output[0]] = low, high
    return found


def _seen(
    session: Any, names: list[str], pictures: Path, deadline: Deadline
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The watched tensors, as each picture fills them."""
    given = session.get_inputs()[0].name
    for image in islice(stream(pictures), CONSTANT, None):
        deadline.check()
        values = session.run(names, {given: np.ascontiguousarray(image.transpose(0, 3, 1, 2))})
        yield from zip(names, values, strict=True)


def _watched(model: Path) -> tuple[Any, list[str]]:
    """A session that gives every float activation, the logits among them, and their names."""
    import onnxruntime as ort

    graph = onnx.load(str(model))
    kinds = {v.name: v.type.tensor_type.elem_type for v in graph.graph.value_info}
    ends, pixels = {output.name for output in graph.graph.output}, set(framing(graph.graph))
    between = [
        name
        for node in graph.graph.node
        if node.op_type not in MOVES | _NO_ACTIVATIONS
        for name in node.output
        if name not in ends | pixels and kinds.get(name) == onnx.TensorProto.FLOAT
    ]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in between)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"]), [
        *between,
        *ends,
    ]
