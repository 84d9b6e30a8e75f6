"""Operators that TFLite computes together with the one before them, and what need not be computed at all."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from edgetl.exporter.lowering.graph import Graph, Operator, without_the_unread

_CLIPS = {"RELU", "RELU6", "RELU_N1_TO_1"}
_CLIPPING = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL"}
_FEW = 16  # channels; for so many a call of XNNPACK's kernel is worth its cost


def fused(graph: Graph) -> Graph:
    """The graph with as few operators as say the same."""
    _merge(graph, _bias_of)
    _merge(graph, _clipped)
    _flatten_by_itself(graph)
    graph = without_the_unread(graph)
    _add_rows(graph)
    return graph


def _merge(graph: Graph, joined: Callable[[Graph, Operator, Operator], Operator | None]) -> None:
    """Puts one operator in the place of two, where `joined` knows one and nobody else reads what lies between them."""
    readers, place = graph.readers(), {o.outputs[0]: n for n, o in enumerate(graph.operators)}
    gone: set[int] = set()
    for number, operator in enumerate(graph.operators):
        for name in operator.inputs:
            before = place.get(name)
            if before is None or readers[name] != 1:
                continue
            one = joined(graph, graph.operators[before], operator)
            if one is not None:
                graph.operators[number] = one
                gone.add(before)
                break
    graph.operators = [operator for number, operator in enumerate(graph.operators) if number not in gone]


def _clipped(_: Graph, first: Operator, clip: Operator) -> Operator | None:
    """An operator that clips its results by itself."""
    free = first.kind in _CLIPPING and first.options["fusedActivationFunction"] == "NONE"
    if clip.kind not in _CLIPS or not free:
        return None
    options = {**first.options, "fusedActivationFunction": clip.kind}
    return msgspec.structs.replace(first, outputs=clip.outputs, options=options)


def _bias_of(graph: Graph, layer: Operator, addition: Operator) -> Operator | None:
    """A linear layer with the constant that is added to its results."""
    if layer.kind != "FULLY_CONNECTED" or layer.inputs[2] or addition.kind != "ADD":
        return None
    name = next(name for name in addition.inputs if name != layer.outputs[0])
    bias, width = graph.tensors[name], graph.tensors[layer.inputs[1]].shape[0]
    if bias.data is None or bias.data.size != width or bias.shape[-1:] != (width,):
        return None
    inputs = (*layer.inputs[:2], graph.constant(name, bias.data.reshape(-1)))
    options = {**layer.options, "fusedActivationFunction": addition.options["fusedActivationFunction"]}
    return msgspec.structs.replace(layer, inputs=inputs, outputs=addition.outputs, options=options)


def _flatten_by_itself(graph: Graph) -> None:
    """A linear layer of one row takes maps of one place as they are."""
    makers = graph.makers()
    for number, layer in enumerate(graph.operators):
        before = makers.get(layer.inputs[0])
        if (
            layer.kind != "FULLY_CONNECTED"
            or layer.options["keepNumDims"]
            or before is None
            or before.kind != "RESHAPE"
        ):
            continue
        graph.operators[number] = msgspec.structs.replace(layer, inputs=(before.inputs[0], *layer.inputs[1:]))


def _add_rows(graph: Graph) -> None:
    """Writes out for a row what is added to each pixel of a picture of few channels.

    XNNPACK adds a constant of three channels by a call of its kernel for every pixel. For a row the constant is some hundred bytes
    longer, every result is the same to the bit, and the addition takes a ninth of the time: a whole MobileNetV2 in int8 at 224 px,
    in turns with itself, is 1.07 times as fast with one thread and 1.09 with two (LiteRT 2.1, x86 with AVX-512 VNNI).
    """
    readers = graph.readers()
    for operator in graph.operators:
        if operator.kind != "ADD":
            continue
        for own, other in (operator.inputs, operator.inputs[::-1]):
            constant, shape = graph.tensors[own], graph.tensors[other].shape
            if constant.data is None or readers[own] > 1 or len(shape) != 4 or shape[3] >= _FEW:
                continue
            if constant.shape[-1:] == shape[3:] and constant.data.size == shape[3]:
                row = np.tile(constant.data.reshape(1, 1, 1, -1), (1, 1, shape[2], 1))
                graph.tensors[own] = msgspec.structs.replace(constant, shape=row.shape, data=row)
