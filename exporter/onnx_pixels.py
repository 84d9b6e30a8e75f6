"""The first convolution takes pixels as they are: their mean goes into its bias, and what is padded has the mean's colour.

A network's pixels less their mean are one more tensor that int8 rounds: with a mean for each channel they span more than the
256 values of one grey level each. Only for weights that int8 holds as they are (simulation/weights.py): what rounding changes
in others would be met by the mean too, and shift every result. docs/adr/0034.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[np.float32]
_STRIP, _FRAMED = "pixels_frame", "pixels_framed"  # names: of constants beside the picture, of the picture with these


def take_pixels_as_they_are(model: Any) -> bool:
    """Rewrites the beginning of a float graph, whose shapes are known, in place. False, and nothing is changed, where it does not
    begin with a mean that is added to the pixels and one convolution of all their channels."""
    graph = model.graph
    pixels = graph.input[0]
    constants = {c.name: c for c in graph.initializer}
    readers = _readers(graph, pixels.name)
    if len(readers) != 1 or readers[0].op_type != "Add":
        return False
    (addition,) = readers
    name = next(n for n in addition.input if n != pixels.name)
    layers = _readers(graph, addition.output[0])
    if name not in constants or len(layers) != 1 or not _is_plain(layers[0], addition.output[0], constants):
        return False
    shift, (layer,) = numpy_helper.to_array(constants[name]), layers
    size = tuple(d.dim_value for d in pixels.type.tensor_type.shape.dim)
    if shift.shape not in ((1, size[1], 1, 1), (size[1], 1, 1)) or 0 in size:
        return False
    shift = shift.reshape(-1)
    layer.input[0] = _framed(graph, addition, -shift, size, _frame(graph, layer, size, constants))
    _pad_nothing(layer)
    _move_into_bias(graph, layer, shift, constants)
    graph.node.remove(addition)
    _drop_unread(graph)
    return True


def framing(graph: Any) -> list[str]:
    """The names of a graph's tensors of which is_framing is true."""
    names = (*(c.name for c in graph.initializer), *(name for node in graph.node for name in node.output))
    return [name for name in names if is_framing(name)]


def is_framing(name: str) -> bool:
    """Whether that tensor holds pixels and nothing else: a constant beside the picture, or the picture with these."""
    return name.startswith((_STRIP, _FRAMED))


def _readers(graph: Any, name: str) -> list[Any]:
    return [node for node in graph.node if name in node.input]


def _attribute(node: Any, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _is_plain(layer: Any, pixels: str, constants: dict[str, Any]) -> bool:
    """Whether it is a convolution of all channels whose weights are known and whose padding is written down."""
    return (
        layer.op_type == "Conv"
        and layer.input[0] == pixels
        and all(name in constants for name in layer.input[1:])
        and _attribute(layer, "group", 1) == 1
        and _attribute(layer, "auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    )


def _move_into_bias(graph: Any, layer: Any, shift: Array, constants: dict[str, Any]) -> None:
    """What the convolution makes of the mean becomes part of its bias."""
    weights = numpy_helper.to_array(constants[layer.input[1]]).astype(np.float64)
    moved = np.einsum("oihw,i->o", weights, shift.astype(np.float64))
    if len(layer.input) > 2:
        moved += numpy_helper.to_array(constants[layer.input[2]])
    name = f"{layer.input[1]}_with_mean"
    graph.initializer.append(numpy_helper.from_array(moved.astype(np.float32), name))
    layer.input[:] = [*layer.input[:2], name]


def _drop_unread(graph: Any) -> None:
    """Removes constants that nothing reads any more, and what is said of tensors that are gone."""
    read = {name for node in graph.node for name in node.input}
    for constant in [c for c in graph.initializer if c.name not in read]:
        graph.initializer.remove(constant)
    for value in [v for v in graph.value_info if v.name not in read]:
        graph.value_info.remove(value)


def _frame(graph: Any, layer: Any, size: tuple[int, ...], constants: dict[str, Any]) -> list[tuple[int, int]]:
    """How many rows must stand above and below the picture, and columns beside it, so that the convolution need not pad."""
    kernel = constants[layer.input[1]].dims[2:]
    strides, dilations = (_attribute(layer, name, [1, 1]) for name in ("strides", "dilations"))
    before = _attribute(layer, "pads", [0, 0, 0, 0])[:2]
    known = {value.name: value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.output)}
    results = [side.dim_value for side in known[layer.output[0]][2:]]
    # Behind only as far as windows reach: those of stride 2 often leave the last row out.
    return [
        (first, max(0, (count - 1) * stride + (k - 1) * dilation + 1 - first - side))
        for first, count, stride, k, dilation, side in zip(
            before, results, strides, kernel, dilations, size[2:], strict=True
        )
    ]


def _pad_nothing(layer: Any) -> None:
    for attribute in layer.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0, 0, 0, 0]


def _framed(graph: Any, addition: Any, colour: Array, size: tuple[int, ...], frame: list[tuple[int, int]]) -> str:
    """The picture with such a frame of one colour: rows first, which lie in one piece. Its nodes stand where the addition does."""
    place, sides = list(graph.node).index(addition), list(size)
    name: str = graph.input[0].name
    for axis, (before, after) in enumerate(frame, start=2):
        if not before and not after:
            continue
        parts = [_strip(graph, colour, sides, axis, before), name, _strip(graph, colour, sides, axis, after)]
        sides[axis] += before + after
        name = f"{_FRAMED}_{axis}"
        node = helper.make_node("Concat", [part for part in parts if part], [name], name=name, axis=axis)
        graph.node.insert(place, node)
        graph.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides))
        place += 1
    return name


def _strip(graph: Any, colour: Array, sides: list[int], axis: int, width: int) -> str:
    """A constant of one colour along a side, "" where it has no width."""
    if not width:
        return ""
    shape = [width if own == axis else side for own, side in enumerate(sides)]
    name = f"{_STRIP}_{axis}_{width}"
    if all(constant.name != name for constant in graph.initializer):
        strip = np.ascontiguousarray(np.broadcast_to(colour.reshape(1, -1, 1, 1), shape))
        graph.initializer.append(numpy_helper.from_array(strip, name))
    return name
