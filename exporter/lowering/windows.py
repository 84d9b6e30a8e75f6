"""Convolutions and pools: what looks at windows of a picture."""

from __future__ import annotations

import numpy as np

from edgetl.exporter.lowering.axes import CHANNELS_LAST
from edgetl.exporter.lowering.builder import Builder, Options, no_form
from edgetl.exporter.lowering.graph import Shape
from edgetl.exporter.lowering.onnx_graph import Node
from edgetl.exporter.lowering.registry import lowers

_NO_PADS = (0, 0, 0, 0)


class _Window:
    """A node's kernel, stride, dilation and padding (top, left, bottom, right), and the sizes of its picture before and after."""

    def __init__(self, builder: Builder, node: Node, kernel: Shape) -> None:
        given, made = builder.shape(node, node.inputs[0]), builder.shape(node, node.outputs[0])
        if len(given) != 4:
            raise no_form(node, "its maps have not two sides")
        said = node.attributes
        self.kernel = kernel
        self.strides: Shape = tuple(said.get("strides", (1, 1)))
        self.dilations: Shape = tuple(said.get("dilations", (1, 1)))
        if said.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise no_form(node, "it does not say how it is padded")
        self.pads: Shape = tuple(said.get("pads", _NO_PADS))
        self.before: Shape = given[2:]
        self.after: Shape = made[2:]

    @property
    def reach(self) -> Shape:
        """How many places a window spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def fits(self, padding: str) -> bool:
        """Whether TFLite's own padding gives the same windows: VALID pads nothing, SAME half of what is missing first."""
        count = (
            self._valid
            if padding == "VALID"
            else tuple(-(-n // s) for n, s in zip(self.before, self.strides, strict=True))
        )
        start = (0, 0) if padding == "VALID" else tuple(lack // 2 for lack in self._missing)
        return self.after == count and self.pads[:2] == start

    @property
    def _valid(self) -> Shape:
        sides = zip(self.before, self.reach, self.strides, strict=True)
        return tuple((size - reach) // stride + 1 for size, reach, stride in sides)

    @property
    def _missing(self) -> Shape:
        """By how much the windows of all results reach over the picture."""
        sides = zip(self.before, self.after, self.reach, self.strides, strict=True)
        return tuple(max((count - 1) * stride + reach - size, 0) for size, count, reach, stride in sides)


def _padding(window: _Window) -> str | None:
    """TFLite's padding that gives the same windows, if one does."""
    return next((padding for padding in ("VALID", "SAME") if window.fits(padding)), None)


def _padded(builder: Builder, node: Node, window: _Window, value: float = 0.0) -> str:
    """The picture with a value around it."""
    picture = builder.stored(node, node.inputs[0], CHANNELS_LAST)
    top, left, bottom, right = window.pads
    batch, rows, columns, channels = builder.graph.tensors[picture].shape
    shape = (batch, rows + top + bottom, columns + left + right, channels)
    inputs = [picture, builder.numbers([[0, 0], [top, bottom], [left, right], [0, 0]])]
    return builder.inner(node, *padding_with(builder, inputs, value), shape)


def padding_with(builder: Builder, inputs: list[str], value: float) -> tuple[str, list[str]]:
    """The operator that pads with a value, and its inputs: those of one that pads with zeros, and the value if it is another."""
    return ("PADV2", [*inputs, builder.real(value)]) if value else ("PAD", inputs)


@lowers("Conv")
def convolution(builder: Builder, node: Node) -> None:
    """A convolution; a depthwise one where each channel is filtered by itself."""
    weights = builder.constant(node, 1)  # out × in/groups × rows × columns
    groups, channels = node.attributes.get("group", 1), builder.shape(node, node.inputs[0])[1]
    bias = builder.constant(node, 2, np.zeros(len(weights), np.float32))
    window = _Window(builder, node, weights.shape[2:])
    padding = _padding(window)
    picture = builder.stored(node, node.inputs[0], CHANNELS_LAST) if padding else _padded(builder, node, window)
    options: Options = {
        "padding": padding or "VALID", "strideH": window.strides[0], "strideW": window.strides[1],
        "dilationHFactor": window.dilations[0], "dilationWFactor": window.dilations[1], "fusedActivationFunction": "NONE",
    }  # fmt: skip
    name = node.inputs[1]
    if groups == channels > 1:
        filters = builder.graph.constant(name, weights.transpose(1, 2, 3, 0))
        kind, options["depthMultiplier"] = "DEPTHWISE_CONV_2D", len(weights) // channels
    else:
        filters = builder.graph.constant(name, weights.transpose(0, 2, 3, 1))
        kind = "CONV_2D"
    inputs = [picture, filters, builder.graph.constant(f"{name}/bias", bias)]
    builder.give(node, kind, inputs, CHANNELS_LAST, options)


@lowers("MaxPool", "AveragePool")
def pool(builder: Builder, node: Node) -> None:
    """A pool. What is padded is left out, as TFLite's own padding does; in a mean, zeros may count instead."""
    window, means = _Window(builder, node, tuple(node.attributes["kernel_shape"])), node.kind == "AveragePool"
    zeros_count = means and bool(node.attributes.get("count_include_pad")) and any(window.pads)
    picture, padding = builder.stored(node, node.inputs[0], CHANNELS_LAST), None if zeros_count else _padding(window)
    if padding is None and (zeros_count or not means):
        # Where nothing is below zero, zeros change no largest value, and fast kernels know them.
        around = 0.0 if zeros_count or _is_rectified(builder, node.inputs[0]) else float(np.finfo(np.float32).min)
        picture = _padded(builder, node, window, around)
        window.before, window.pads = builder.graph.tensors[picture].shape[1:3], _NO_PADS
        padding = _padding(window)
    if padding is None or any(d != 1 for d in window.dilations):
        raise no_form(node, "TFLite has no padding like its own")
    builder.give(
        node, "AVERAGE_POOL_2D" if means else "MAX_POOL_2D", [picture], CHANNELS_LAST,
        {
            "padding": padding, "strideH": window.strides[0], "strideW": window.strides[1],
            "filterHeight": window.kernel[0], "filterWidth": window.kernel[1], "fusedActivationFunction": "NONE",
        },
    )  # fmt: skip


def _is_rectified(builder: Builder, name: str) -> bool:
    """Whether no value is below zero, so that zeros around change no largest one."""
    maker = builder.makers.get(name)
    if maker is None or maker.kind not in ("Relu", "Sigmoid", "Clip"):
        return False
    return maker.kind != "Clip" or float(builder.constant(maker, 1, -np.inf)) >= 0


@lowers("Resize")
def resize(builder: Builder, node: Node) -> None:
    """A picture made larger or smaller."""
    said = node.attributes
    kinds = {b"nearest": "RESIZE_NEAREST_NEIGHBOR", b"linear": "RESIZE_BILINEAR"}
    mode, where = said.get("mode", b"nearest"), said.get("coordinate_transformation_mode", b"half_pixel")
    rounds_down = said.get("nearest_mode", b"round_prefer_floor") == b"floor" and where == b"asymmetric"
    if mode not in kinds or where not in (b"half_pixel", b"pytorch_half_pixel", b"asymmetric", b"align_corners"):
        raise no_form(node, f"{mode.decode()} by {where.decode()}")
    if mode == b"nearest" and not rounds_down:
        raise no_form(node, f"nearest by {where.decode()}")
    before, after = builder.shape(node, node.inputs[0]), builder.shape(node, node.outputs[0])
    if len(before) != 4 or before[:2] != after[:2]:
        raise no_form(node, "it resizes other axes than rows and columns")
    picture = builder.stored(node, node.inputs[0], CHANNELS_LAST)
    builder.give(
        node, kinds[mode], [picture, builder.numbers(after[2:])], CHANNELS_LAST,
        {"alignCorners": where == b"align_corners", "halfPixelCenters": where in (b"half_pixel", b"pytorch_half_pixel")},
    )  # fmt: skip
