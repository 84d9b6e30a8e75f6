"""The float TFLite graph of an ONNX one."""

from __future__ import annotations

from pathlib import Path

# Each registers what it lowers.
from edgetl.exporter.lowering import elementwise, layers, moving, windows  # noqa: F401
from edgetl.exporter.lowering.builder import Builder
from edgetl.exporter.lowering.fusing import fused
from edgetl.exporter.lowering.graph import Graph
from edgetl.exporter.lowering.onnx_graph import read_onnx
from edgetl.exporter.lowering.registry import lower


def lowered(path: Path) -> Graph:
    """The graph of a float ONNX file (input 1×3×S×S pixels), with input 1×S×S×3. Raises OperatorError, which names the node."""
    source = read_onnx(path)
    builder = Builder(source)
    for node in source.nodes:
        lower(builder, node)
    return fused(builder.finished())
