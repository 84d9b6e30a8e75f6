"""Other weights for an ONNX graph that torch exported: those of the same operators, so that they need not be exported anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.fx import GraphModule

from edgetl.errors import storage
from edgetl.exporter.simulation.graph import value_of


def write_exchanged(known: Path, before: GraphModule, after: GraphModule, out: Path) -> bool:
    """Writes `known`, the ONNX graph of `before`, with the weights of `after`, a changed copy of it. False, and nothing is
    written, where torch did not write each weight as it is and under its name. Raises StorageError."""
    model = onnx.load(str(known))
    constants = {constant.name: constant for constant in model.graph.initializer}
    for name, array in _weights(before).items():
        if name not in constants or not np.array_equal(numpy_helper.to_array(constants[name]), array):
            return False
    for name, array in _weights(after).items():
        constants[name].CopyFrom(numpy_helper.from_array(array, name))
    with storage(out):
        onnx.save(model, str(out))
    return True


def _weights(graph: GraphModule) -> dict[str, NDArray[np.float32]]:
    """What the graph's operators read besides activations, by name. A part of the graph that stands for itself, as one that some nets
    compute without autocast, is of another kind and has its name there too."""
    read = {str(node.target): value_of(graph, node) for node in graph.graph.nodes if node.op == "get_attr"}
    return {name: value.detach().numpy() for name, value in read.items() if isinstance(value, Tensor)}
