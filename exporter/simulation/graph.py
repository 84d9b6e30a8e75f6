"""The deployed network as torch's own graph of operators, its batch norms folded, ready to be changed and exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from edgetl.errors import ExportError

aten = torch.ops.aten
LAYERS: set[Any] = {aten.conv2d.default, aten.linear.default}
CLIPS: set[Any] = {aten.hardtanh.default, aten.relu.default}
# They move values or choose among them, and round nothing.
PASSED_THROUGH: set[Any] = {
    aten.flatten.using_ints, aten.view.default, aten.reshape.default, aten.permute.default, aten.dropout.default,
    aten.max_pool2d.default, aten.transpose.int, aten.unsqueeze.default, aten.squeeze.dims, aten.clone.default,
    aten.pad.default, aten.constant_pad_nd.default,
}  # fmt: skip
_IN_PLACE: dict[Any, Any] = {
    aten.hardtanh_.default: aten.hardtanh.default, aten.relu_.default: aten.relu.default,
    aten.hardswish_.default: aten.hardswish.default, aten.hardsigmoid_.default: aten.hardsigmoid.default,
    aten.silu_.default: aten.silu.default, aten.add_.Tensor: aten.add.Tensor, aten.mul_.Tensor: aten.mul.Tensor,
}  # fmt: skip


def graph_of(module: nn.Module, size: int) -> GraphModule:
    """The graph of a module that takes N×3×S×S pixels, with each batch norm folded into its convolution.

    Raises ExportError where torch cannot trace it.
    """
    example = torch.zeros(2, 3, size, size)
    try:
        with torch.no_grad():
            traced = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    except Exception as error:  # torch raises many types; each means that this net has no graph
        raise ExportError(f"torch cannot trace this net: {type(error).__name__}: {error}") from error
    graph = traced.module()
    for node in list(graph.graph.nodes):
        if node.op == "call_module":  # torch's own checks of the input
            graph.graph.erase_node(node)
        elif node.target in _IN_PLACE:
            node.target = _IN_PLACE[node.target]
    for node in list(graph.graph.nodes):
        if node.target is aten.batch_norm.default and _foldable(node):
            _fold(graph, node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    for parameter in graph.parameters():
        parameter.requires_grad_(False)
    return graph


def _foldable(norm: Node) -> bool:
    before = cast(Node, norm.args[0])
    return before.target is aten.conv2d.default and len(before.users) == 1


def _fold(graph: GraphModule, norm: Node) -> None:
    conv = cast(Node, norm.args[0])
    scale, shift, mean, variance = (value_of(graph, cast(Node, a)) for a in norm.args[1:5])
    weight, bias = weight_of(graph, conv), bias_of(graph, conv)
    factor = scale / torch.sqrt(variance + cast(float, norm.args[7]))
    with torch.no_grad():
        folded = (weight * factor.view(-1, 1, 1, 1)).detach().clone()
        moved = (shift + ((0 if bias is None else bias) - mean) * factor).detach().clone()
    names = f"{conv.name}_weight", f"{conv.name}_bias"
    for name, tensor in zip(names, (folded, moved), strict=True):
        graph.register_parameter(name, nn.Parameter(tensor))
    with graph.graph.inserting_before(conv):
        new = [graph.graph.get_attr(name) for name in names]
    rest = [*conv.args, None, None][3 : len(conv.args)]
    conv.args = (conv.args[0], *new, *rest)
    norm.replace_all_uses_with(conv)
    graph.graph.erase_node(norm)


def value_of(graph: GraphModule, node: Node) -> Tensor:
    """The parameter or buffer that a node names."""
    owner: Any = graph
    for part in cast(str, node.target).split("."):
        owner = getattr(owner, part)
    return cast(Tensor, owner)


def layers_of(graph: GraphModule) -> list[Node]:
    """The convolutions and linear layers that the picture goes through, in the order in which they run. Others make constants, such
    as the embedding of positions, and exporters fold them away."""
    through: set[Node] = set()
    for node in graph.graph.nodes:
        # A picture's size is none of them, and what it makes is the same for every picture. A split makes several tensors.
        holds_values = isinstance(node.meta.get("val"), Tensor | list | tuple)
        if node.op == "placeholder" or (holds_values and not through.isdisjoint(node.all_input_nodes)):
            through.add(node)
    return [node for node in graph.graph.nodes if node.target in LAYERS and node in through]


def weight_of(graph: GraphModule, layer: Node) -> Tensor:
    """A layer's weights: out×in/groups×h×w or out×in."""
    return value_of(graph, cast(Node, layer.args[1]))


def bias_of(graph: GraphModule, layer: Node) -> Tensor | None:
    """A layer's bias, if it has one."""
    bias = layer.args[2] if len(layer.args) > 2 else None
    return None if bias is None else value_of(graph, cast(Node, bias))


def groups_of(layer: Node) -> int:
    """In how many groups a layer's channels are connected."""
    return cast(int, layer.args[6]) if layer.target is aten.conv2d.default and len(layer.args) > 6 else 1


def is_depthwise(graph: GraphModule, layer: Node) -> bool:
    """Whether each channel is filtered by itself."""
    weight = weight_of(graph, layer)
    return groups_of(layer) == len(weight) and weight.shape[1] == 1 and groups_of(layer) > 1


def inputs_of(node: Node) -> list[Node]:
    """The activations that go into a node, without parameters."""
    return [n for n in node.all_input_nodes if n.op != "get_attr"]


def rounded_nodes(graph: GraphModule) -> list[Node]:
    """The nodes whose results int8 stores: not what a clip takes over at once, nor what only moves values, nor pixels less
    their mean, which the first convolution takes up (onnx_pixels.py)."""
    return [
        node
        for node in graph.graph.nodes
        if node.op == "call_function"
        and node.target not in PASSED_THROUGH
        and not _clipped_at_once(node)
        and not _centres_pixels(node)
        and _is_float(node)
    ]


def _clipped_at_once(node: Node) -> bool:
    users = list(node.users)
    fuses = node.target in LAYERS or node.target is aten.add.Tensor
    return fuses and len(users) == 1 and users[0].target in CLIPS


def _centres_pixels(node: Node) -> bool:
    """Whether a constant is added to the pixels for one convolution of all their channels, padded before or not."""
    given, users = inputs_of(node), list(node.users)
    if [is_zero_pad(user) for user in users] == [True]:
        users = list(users[0].users)
    return (
        node.target is aten.add.Tensor
        and [n.op for n in given] == ["placeholder"]
        and len(node.all_input_nodes) == 2
        and [user.target for user in users] == [aten.conv2d.default]
        and groups_of(users[0]) == 1
    )


def is_zero_pad(node: Node) -> bool:
    """Whether it puts zeros around maps, as nets do that TensorFlow trained."""
    if node.target not in (aten.pad.default, aten.constant_pad_nd.default):
        return False
    around, *rest = node.args[1:]
    return len(cast(list[int], around)) == 4 and all(r in ("constant", None, 0, 0.0) for r in rest) and not node.kwargs


def _is_float(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


Watch = Callable[[Node, Tensor], Tensor]


class Walker(torch.fx.Interpreter):
    """Runs the graph and shows every rounded node's result to `watch`, which may replace it."""

    def __init__(self, graph: GraphModule, watch: Watch) -> None:
        super().__init__(graph)
        self._watch = watch
        self._shown = set(rounded_nodes(graph))

    def run_node(self, n: Node) -> Any:
        """One node's result."""
        result = super().run_node(n)
        return self._watch(n, result) if n in self._shown else result
