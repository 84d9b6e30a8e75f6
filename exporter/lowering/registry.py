"""Which function lowers which ONNX operator."""

from __future__ import annotations

from collections.abc import Callable

from edgetl.exporter.lowering.builder import Builder, no_form
from edgetl.exporter.lowering.onnx_graph import Node

Lower = Callable[[Builder, Node], None]
_KNOWN: dict[str, Lower] = {}


def lowers(*kinds: str) -> Callable[[Lower], Lower]:
    """Registers a function for ONNX operators."""

    def register(function: Lower) -> Lower:
        _KNOWN.update(dict.fromkeys(kinds, function))
        return function

    return register


def lower(builder: Builder, node: Node) -> None:
    """Adds what a node is in TFLite. Raises OperatorError."""
    if node.kind not in _KNOWN:
        raise no_form(node)
    _KNOWN[node.kind](builder, node)
