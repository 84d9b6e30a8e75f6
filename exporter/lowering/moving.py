"""What moves values, chooses among them, or joins and reduces along axes."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from edgetl.exporter.lowering.axes import CHANNELS_LAST, Order, plain, reshaped, transposed
from edgetl.exporter.lowering.builder import Builder, no_form
from edgetl.exporter.lowering.onnx_graph import Node
from edgetl.exporter.lowering.registry import lowers
from edgetl.exporter.lowering.windows import padding_with

_REDUCTIONS = {"ReduceMean": "MEAN", "GlobalAveragePool": "MEAN", "ReduceMax": "REDUCE_MAX",
               "GlobalMaxPool": "REDUCE_MAX", "ReduceMin": "REDUCE_MIN"}  # fmt: skip


@lowers("Identity", "Dropout")
def identity(builder: Builder, node: Node) -> None:
    """The same value under another name."""
    builder.pass_on(node, builder.order(node.inputs[0]))


@lowers("Transpose")
def transpose(builder: Builder, node: Node) -> None:
    """Other axes; nothing moves before somebody needs it."""
    turn = node.attributes.get("perm", tuple(reversed(plain(len(builder.order(node.inputs[0]))))))
    builder.pass_on(node, transposed(builder.order(node.inputs[0]), tuple(turn)))


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(builder: Builder, node: Node) -> None:
    """The same values in another shape."""
    given, before, after = node.inputs[0], builder.shape(node, node.inputs[0]), builder.shape(node, node.outputs[0])
    order = reshaped(before, after, builder.order(given))
    values = builder.plain(node, given) if order is None else builder.stored(node, given)
    order = plain(len(after)) if order is None else order
    builder.give(node, "RESHAPE", [values, builder.numbers([after[axis] for axis in order])], order)


@lowers(*_REDUCTIONS)
def reduction(builder: Builder, node: Node) -> None:
    """A mean or end along some axes."""
    along = _Along.of(builder, node)
    inputs = [builder.stored(node, node.inputs[0]), builder.numbers(along.axes)]
    builder.give(node, _REDUCTIONS[node.kind], inputs, along.left, {"keepDims": along.keeps})


@lowers("ReduceSum")
def total(builder: Builder, node: Node) -> None:
    """A sum along some axes, as the mean times how many they are: LiteRT's reference kernel of SUM is wrong in int8."""
    along = _Along.of(builder, node)
    mean, count = _mean_and_count(builder, node, along, builder.stored(node, node.inputs[0]))
    builder.give(node, "MUL", [mean, builder.real(count)], along.left, {"fusedActivationFunction": "NONE"})


@lowers("ReduceL2")
def length(builder: Builder, node: Node) -> None:
    """The length of what lies along some axes."""
    along, values = _Along.of(builder, node), builder.stored(node, node.inputs[0])
    plainly = {"fusedActivationFunction": "NONE"}
    squares = builder.inner(node, "MUL", [values, values], builder.graph.tensors[values].shape, plainly)
    mean, count = _mean_and_count(builder, node, along, squares)
    whole = builder.inner(node, "MUL", [mean, builder.real(count)], builder.graph.tensors[mean].shape, plainly)
    builder.give(node, "SQRT", [whole], along.left)


class _Along(msgspec.Struct, frozen=True):
    """Which axes of the stored values an operator takes together, whether they stay as one each, and the order of what is left."""

    axes: list[int]
    keeps: bool
    left: Order

    @classmethod
    def of(cls, builder: Builder, node: Node) -> _Along:
        """What an operator says."""
        order = builder.order(node.inputs[0])
        axes = _reduced(builder, node, len(order))
        keeps = bool(node.attributes.get("keepdims", 1)) or node.kind.startswith("Global")
        left = order if keeps else _renumbered([axis for axis in order if axis not in axes])
        return cls(sorted(order.index(axis) for axis in axes), keeps, left)


def _mean_and_count(builder: Builder, node: Node, along: _Along, values: str) -> tuple[str, float]:
    """The mean of stored values along some axes, and of how many it is."""
    whole = builder.graph.tensors[values].shape
    sizes = tuple(1 if k in along.axes else n for k, n in enumerate(whole) if along.keeps or k not in along.axes)
    mean = builder.inner(node, "MEAN", [values, builder.numbers(along.axes)], sizes, {"keepDims": along.keeps})
    return mean, float(math.prod(whole[k] for k in along.axes))


def _reduced(builder: Builder, node: Node, rank: int) -> set[int]:
    if node.kind.startswith("Global"):
        return set(range(2, rank))
    named = node.attributes.get("axes")
    if named is None:
        named = builder.constant(node, 1, np.arange(rank)).reshape(-1)
    return {int(axis) % rank for axis in named}


def _renumbered(axes: list[int]) -> Order:
    """Axes as they are counted where others are gone."""
    return tuple(sorted(axes).index(axis) for axis in axes)


@lowers("Concat")
def concatenation(builder: Builder, node: Node) -> None:
    """Values one behind the other along an axis."""
    moving = [name for name in node.inputs if not builder.is_constant(name)]
    if not moving:
        raise no_form(node, "of constants")
    order, axis = builder.order(moving[0]), node.attributes["axis"]
    inputs = [builder.stored(node, name, order) for name in node.inputs]
    options = {"axis": order.index(axis % len(order)), "fusedActivationFunction": "NONE"}
    builder.give(node, "CONCATENATION", inputs, order, options)


@lowers("Slice")
def cut(builder: Builder, node: Node) -> None:
    """Every value, or every n-th, from one place to another along some axes."""
    shape = builder.shape(node, node.inputs[0])
    starts, ends = (builder.constant(node, position).reshape(-1) for position in (1, 2))
    axes = builder.constant(node, 3, np.arange(len(starts))).reshape(-1)
    steps = builder.constant(node, 4, np.ones(len(starts), np.int64)).reshape(-1)
    if (steps < 1).any():
        raise no_form(node, "backwards")
    spans = [(0, size, 1) for size in shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        first, last, _ = slice(int(start), int(end)).indices(shape[axis])
        spans[axis] = (first, last, int(step))
    _cut(builder, node, spans, 0)


@lowers("Split")
def split(builder: Builder, node: Node) -> None:
    """Parts one behind the other along an axis."""
    shape = builder.shape(node, node.inputs[0])
    axis, start = node.attributes.get("axis", 0) % len(shape), 0
    for number, name in enumerate(node.outputs):
        size = builder.shape(node, name)[axis]
        spans = [(0, whole, 1) for whole in shape]
        spans[axis] = (start, start + size, 1)
        _cut(builder, node, spans, number)
        start += size


def _cut(builder: Builder, node: Node, spans: list[tuple[int, int, int]], output: int) -> None:
    """Gives what lies between first and last of each ONNX axis."""
    order, values = builder.order(node.inputs[0]), builder.stored(node, node.inputs[0])
    first, last, step = (builder.numbers([spans[axis][part] for axis in order]) for part in range(3))
    if all(span[2] == 1 for span in spans):
        sizes = builder.numbers([spans[axis][1] - spans[axis][0] for axis in order])
        builder.give(node, "SLICE", [values, first, sizes], order, output=output)
        return
    none = dict.fromkeys(("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask"), 0)
    builder.give(node, "STRIDED_SLICE", [values, first, last, step], order, {"offset": False, **none}, output)


@lowers("Gather")
def gather(builder: Builder, node: Node) -> None:
    """Values at known places along an axis."""
    given, shape = node.inputs[0], builder.shape(node, node.inputs[0])
    axis, places = node.attributes.get("axis", 0) % len(shape), builder.constant(node, 1)
    places = np.where(places < 0, places + shape[axis], places).astype(np.int32)
    values = builder.plain(node, given)
    if places.ndim == 0:  # one place: a cut, whose axis is gone
        begins, sizes = np.zeros(len(shape), np.int32), np.array(shape, np.int32)
        begins[axis], sizes[axis] = places, 1
        one = builder.inner(
            node, "SLICE", [values, builder.numbers(begins), builder.numbers(sizes)], tuple(sizes.tolist())
        )
        after = builder.shape(node, node.outputs[0])
        builder.give(node, "RESHAPE", [one, builder.numbers(after)], plain(len(after)))
        return
    after = builder.shape(node, node.outputs[0])
    inputs = [values, builder.graph.constant("places", places)]
    builder.give(node, "GATHER", inputs, plain(len(after)), {"axis": axis, "batchDims": 0})


@lowers("Expand")
def expand(builder: Builder, node: Node) -> None:
    """Values repeated along some axes."""
    after = builder.shape(node, node.outputs[0])
    inputs = [builder.plain(node, node.inputs[0]), builder.numbers(after)]
    builder.give(node, "BROADCAST_TO", inputs, plain(len(after)))


@lowers("Pad")
def pad(builder: Builder, node: Node) -> None:
    """One value around."""
    rank, pads = len(builder.shape(node, node.inputs[0])), builder.constant(node, 1).reshape(2, -1)
    if node.attributes.get("mode", b"constant") != b"constant" or (pads < 0).any():
        raise no_form(node, "of another kind than with one value around")
    axes = builder.constant(node, 3, np.arange(rank)).reshape(-1) % rank
    whole = np.zeros((rank, 2), np.int64)
    whole[axes] = pads.T
    order, value = builder.order(node.inputs[0]), float(builder.constant(node, 2, np.float32(0)))
    inputs = [builder.stored(node, node.inputs[0]), builder.numbers(whole[list(order)])]
    builder.give(node, *padding_with(builder, inputs, value), order)


@lowers("DepthToSpace")
def depth_to_space(builder: Builder, node: Node) -> None:
    """Channels laid out as blocks of places."""
    if node.attributes.get("mode", b"DCR") != b"DCR":
        raise no_form(node, "of rows before columns")
    picture = builder.stored(node, node.inputs[0], CHANNELS_LAST)
    builder.give(node, "DEPTH_TO_SPACE", [picture], CHANNELS_LAST, {"blockSize": node.attributes["blocksize"]})
