"""The proof of an ONNX file whose quantization stands as QuantizeLinear and DequantizeLinear pairs (QDQ).

Between such nodes the graph is written in floats. A node computes in int8 where its values come from a
DequantizeLinear and go to a QuantizeLinear: these are what a runtime fuses with it, if it has the kernel. A node that
only moves values (Reshape) or clips them (Relu after Conv) may stand between.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from edgetl.errors import ModelError
from edgetl.runtime.graphs import OnnxGraph, OnnxNode, read_onnx
from edgetl.runtime.manifest import Precision
from edgetl.runtime.proof.record import Island, Port, Proof

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
_MOVES = {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice"}
_CLIPS = {"Relu", "Clip"}
_WEIGHTED = {"Conv", "Gemm", "MatMul", "ConvTranspose"}
_QUANTIZED = {"int8", "uint8"}
_WIDE = {"int16", "uint16"}


def prove_onnx(model: bytes, where: str, precision: Precision = "int8") -> Proof:
    """Reads from the graph which nodes compute in what is said of it. Raises ModelError."""
    graph = read_onnx(model, where)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            f"{where}: expected one input and one output, got {len(graph.inputs)} and {len(graph.outputs)}"
        )
    try:
        return _proof(graph, Flow(graph, where, _WIDE if precision == "int16" else _QUANTIZED), where, precision)
    except RecursionError as error:
        raise ModelError(f"{where}: a chain of nodes without a number between them; not a model of ours") from error


def _proof(graph: OnnxGraph, flow: Flow, where: str, precision: Precision) -> Proof:
    last = flow.made_by.get(graph.outputs[0].name)
    fits = flow.in_quantized if precision in ("int8", "mixed", "int16") else partial(_in_float, graph, precision)
    return Proof(
        model=where,
        operators=dict(Counter(n.kind for n in graph.nodes if n.kind not in (_Q, _DQ)).most_common()),
        tensors=dict(Counter([*(c.type for c in graph.constants.values()), *flow.quantized_types()]).most_common()),
        islands=tuple(Island(n.kind, n.name or n.outputs[0], flow.types(n)) for n in graph.nodes if not fits(n)),
        input=flow.input_port(),
        output=Port(graph.outputs[0].type, graph.outputs[0].shape, *flow.step_of(last)),
        softmax="inside" if last is not None and flow.behind_dequantize(last).kind == "Softmax" else "outside",
        precision=precision,
    )


def _in_float(graph: OnnxGraph, precision: Precision, node: OnnxNode) -> bool:
    """Whether a node computes in floats, and a layer's weights are of the size that the precision says."""
    if node.kind in (_Q, _DQ):
        return False
    weights = [graph.constants[name] for name in node.inputs[1:2] if name in graph.constants]
    return node.kind not in _WEIGHTED or all(w.type == precision for w in weights)


class Flow:
    """Where the values of a graph come from and go to. `stored`: the types in which quantized activations are stored."""

    def __init__(self, graph: OnnxGraph, where: str, stored: set[str]) -> None:
        self.graph = graph
        self._stored = stored
        self.made_by: dict[str, OnnxNode] = {}
        self.used_by: dict[str, list[OnnxNode]] = {}
        self.type_of = {tensor.name: tensor.type for tensor in (*graph.constants.values(), *graph.inputs)}
        self._quantized_nodes: dict[int, bool] = {}
        self._quantized_users: dict[str, bool] = {}
        for node in graph.nodes:
            self._add(node, where)

    def _add(self, node: OnnxNode, where: str) -> None:
        """Nodes stand in an order in which every value is made before it is used, so there is no circle."""
        for name in node.inputs:
            if name and name not in self.type_of:
                raise ModelError(
                    f"{where}: damaged: {node.kind} {node.name} uses {name!r}, which nothing before it makes"
                )
            self.used_by.setdefault(name, []).append(node)
        for name in node.outputs:
            if name in self.type_of:
                raise ModelError(f"{where}: damaged: {node.kind} {node.name} makes {name!r}, which is there already")
            self.made_by[name] = node
            self.type_of[name] = self._made_type(node)

    def _made_type(self, node: OnnxNode) -> str:
        if node.kind == _Q:
            return self.type_of.get(node.inputs[2], "uint8") if len(node.inputs) > 2 else "uint8"
        if node.kind in _MOVES:
            return self.type_of.get(node.inputs[0], "float32")
        return "float32"

    def quantized_types(self) -> list[str]:
        """The types of all values that a QuantizeLinear makes."""
        return [self.type_of[node.outputs[0]] for node in self.graph.nodes if node.kind == _Q]

    def types(self, node: OnnxNode) -> str:
        """The types of a node's values, for a message."""
        given = [_dequantized(self, name) for name in node.inputs if name]
        made = [self.type_of[name] for name in node.outputs if name]
        return f"{', '.join(dict.fromkeys(given))} → {', '.join(dict.fromkeys(made))}"

    def in_quantized(self, node: OnnxNode) -> bool:
        """Whether a node computes in quantized numbers, or only changes their form."""
        key = id(node)
        if key not in self._quantized_nodes:
            self._quantized_nodes[key] = node.kind in (_Q, _DQ) or self._between(node)
        return self._quantized_nodes[key]

    def _between(self, node: OnnxNode) -> bool:
        """Whether its values come from quantized ones and go to such."""
        follows = node.kind in _MOVES | _CLIPS
        data = [name for name in node.inputs if name and self.type_of.get(name, "float32") == "float32"]
        if node.kind in _WEIGHTED:
            data = list(node.inputs[:2])  # a bias may be a float: it is added to 32-bit sums
        elif follows:
            data = list(node.inputs[:1])
        return all(self._from_quantized(name, follows) for name in data) and all(map(self._to_quantized, node.outputs))

    def _from_quantized(self, name: str, follows: bool) -> bool:
        if self.type_of.get(name) in self._stored:
            return True
        node = self.made_by.get(name)
        if node is None:
            return False
        if node.kind == _DQ:
            weights = node.inputs[0] in self.graph.constants  # of int8 beside activations of int16 too
            return self.type_of.get(node.inputs[0]) in (self._stored | _QUANTIZED if weights else self._stored)
        # What only moves or clips takes the sums of the operator before it, which must compute in int8 itself.
        return follows and self.in_quantized(node)

    def _to_quantized(self, name: str) -> bool:
        if name not in self._quantized_users:
            self._quantized_users[name] = self._leads_to_quantized(name)
        return self._quantized_users[name]

    def _leads_to_quantized(self, name: str) -> bool:
        if self.type_of.get(name) in self._stored or any(name == out.name for out in self.graph.outputs):
            return True
        users = self.used_by.get(name, [])
        return bool(users) and all(
            user.kind == _Q or (user.kind in _MOVES | _CLIPS and all(map(self._to_quantized, user.outputs)))
            for user in users
        )

    def input_port(self) -> Port:
        """The input with the step in which the graph reads it: that of the DequantizeLinear it meets, or 1 of a Cast."""
        tensor = self.graph.inputs[0]
        name, step = tensor.name, (0.0, 0)
        while len(users := self.used_by.get(name, [])) == 1:
            if users[0].kind == _DQ:
                step = self.step_of(users[0])
            elif users[0].kind == "Cast" and tensor.type in _QUANTIZED:
                step = (1.0, 0)
            elif users[0].kind in _MOVES:
                name = users[0].outputs[0]
                continue
            break
        return Port(tensor.type, tensor.shape, *step)

    def step_of(self, node: OnnxNode | None) -> tuple[float, int]:
        """Scale and zero point of a QuantizeLinear or DequantizeLinear; (0, 0) for another node."""
        if node is None or node.kind not in (_Q, _DQ) or len(node.inputs) < 2:
            return 0.0, 0
        scale, zero = (self.graph.values.get(name, ()) for name in (*node.inputs[1:3], "")[:2])
        return (scale[0] if len(scale) == 1 else 0.0), (int(zero[0]) if len(zero) == 1 else 0)

    def behind_dequantize(self, node: OnnxNode) -> OnnxNode:
        """The node whose result a final QuantizeLinear and DequantizeLinear hand on."""
        while node.kind in (_Q, _DQ) and node.inputs[0] in self.made_by:
            node = self.made_by[node.inputs[0]]
        return node


def _dequantized(flow: Flow, name: str) -> str:
    """The type that a value has in a runtime that fuses: the stored one behind a DequantizeLinear."""
    node = flow.made_by.get(name)
    if node is not None and node.kind == _DQ:
        return flow.type_of.get(node.inputs[0], "float32")
    return flow.type_of.get(name, "float32")
