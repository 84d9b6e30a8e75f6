"""A TFLite graph in memory, as it is put together: tensors by name, operators in the order in which they run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

# These operators move values or choose among them, so that their results have the steps of what they are given.
MOVING = {
    "RESHAPE", "TRANSPOSE", "PAD", "PADV2", "SLICE", "STRIDED_SLICE", "GATHER", "MAX_POOL_2D", "AVERAGE_POOL_2D", "REDUCE_MAX",
    "REDUCE_MIN", "BROADCAST_TO", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE",
}  # fmt: skip

# Between which values the results of each clip lie.
CLIPS = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}

Array = NDArray[Any]
Shape = tuple[int, ...]


class Steps(msgspec.Struct, frozen=True):
    """What stored integers stand for: real = (stored − zero) · scale. One pair, or one for each index of `axis`."""

    scale: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int = 0

    def like(self, other: Steps) -> bool:
        """Whether the same integers stand for the same values."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.zero, other.zero)


class Tensor(msgspec.Struct, frozen=True):
    """One tensor; with `data` it is a constant, with `steps` its integers stand for real numbers. `type` is numpy's name."""

    shape: Shape
    type: str = "float32"
    data: Array | None = None
    steps: Steps | None = None


class Operator(msgspec.Struct, frozen=True):
    """One operator by TFLite's name. An input that is left out is "". `node` names the ONNX node that it came from."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict[str, Any] = {}
    node: str = ""


class Graph(msgspec.Struct):
    """A graph of one input and some outputs."""

    tensors: dict[str, Tensor]
    operators: list[Operator]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def readers(self) -> Counter[str]:
        """How often each tensor is read, by operators and as an output."""
        return Counter([*(name for o in self.operators for name in o.inputs), *self.outputs])

    def makers(self) -> dict[str, Operator]:
        """The operator that makes each tensor that is no constant."""
        return {name: operator for operator in self.operators for name in operator.outputs}

    def activations(self) -> list[str]:
        """What operators make of real numbers, in the order in which they run."""
        made = [name for operator in self.operators for name in operator.outputs]
        return [name for name in made if self.tensors[name].type == "float32"]

    def add(self, name: str, tensor: Tensor) -> str:
        """Adds a tensor; where its name is taken, under another one. Returns the name."""
        free, count = name, 1
        while free in self.tensors:
            free, count = f"{name}_{count}", count + 1
        self.tensors[free] = tensor
        return free

    def constant(self, name: str, data: Array) -> str:
        """Adds a constant. Returns its name."""
        return self.add(name, Tensor(data.shape, data.dtype.name, np.ascontiguousarray(data)))


def without_the_unread(graph: Graph) -> Graph:
    """The graph without operators that nobody reads, and without tensors of no operator."""
    wanted, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            wanted.update(operator.inputs)
            kept.append(operator)
    used = wanted | set(graph.inputs) | {name for operator in kept for name in operator.outputs}
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in used}
    return Graph(tensors, kept[::-1], graph.inputs, graph.outputs)
