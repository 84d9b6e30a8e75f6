"""Names the operator and the layer that a conversion failed at, from what the converters and the interpreter say of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from edgetl.runtime.graphs import TfliteGraph

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# onnx2tf names the ONNX node that it could not turn into TensorFlow.
_ONNX_NODE = re.compile(r"onnx_op_name: (\S+)")
# TensorFlow Lite's converter, for an operator without a built-in, and its quantizer, for one without an int8 form.
_NO_BUILTIN = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")
_NO_INT8 = re.compile(r"[Qq]uantization not yet supported for op: '?(\w+)'?")
# torch's exporter, for an operator that it has no ONNX form of; the node is one of its own graph.
_NO_ONNX = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")
_TORCH_NODE = re.compile(r"Error when translating node %(\w+)")
# Torch writes the scopes as Python prints a list of names. Read as text: Python 3.11 counts the depth of its syntax trees
# for all threads together, so that reading them as Python fails now and then where two files are made side by side.
_SCOPE = re.compile(r"'([^']*)'")
SCOPES = "pkg.torch.onnx.name_scopes"  # where torch writes an ONNX node's layer
# The interpreter, for an operator that it has no kernel of in the file's numbers; the node is the operator's place in the file.
_NO_KERNEL = re.compile(r"Node number (\d+) \((\w+)\) failed")


class Node(msgspec.Struct, frozen=True):
    """An ONNX node: its operator, its name, and the layer of the network that it came from."""

    kind: str
    name: str
    layer: str


def cause_in_log(log: str, nodes: Iterable[Node]) -> str | None:
    """Why a TFLite conversion failed, in words that name operator and layer; None where its log does not tell."""
    text = _COLOUR.sub("", log)
    if named := _ONNX_NODE.findall(text):
        for node in nodes:
            if node.name == named[-1]:
                return f"onnx2tf cannot convert operator {node.kind} of layer {node.layer} (ONNX node {node.name})"
    if kinds := _NO_BUILTIN.findall(text):
        return f"TensorFlow Lite has no operator {kinds[-1]}{_layer_of(kinds[-1].removeprefix('tf.'), nodes)}"
    if kinds := _NO_INT8.findall(text):
        return f"TensorFlow Lite has no int8 form of operator {kinds[-1]}{_layer_of(kinds[-1], nodes)}"
    return None


def _layer_of(kind: str, nodes: Iterable[Node]) -> str:
    """The first layer with an ONNX operator that is called alike (`FLOOR_MOD` and `FloorMod`)."""
    plain = kind.replace("_", "").casefold()
    return next((f" of layer {node.layer}" for node in nodes if node.kind.casefold() == plain), "")


def cause_in_run(message: str, graph: TfliteGraph) -> str | None:
    """Why the interpreter did not run a TFLite file, in words that name operator and layer; None where it does not tell."""
    found = _NO_KERNEL.search(message)
    if found is None or int(found[1]) >= len(graph.operators) or graph.operators[int(found[1])].kind != found[2]:
        return None
    made = graph.tensors[graph.operators[int(found[1])].outputs[0]]
    return f"LiteRT has no kernel for operator {found[2]} in {made.type} (layer {made.name})"


def cause_in_torch(message: str) -> tuple[str, str] | None:
    """The operator that torch has no ONNX form of, and its node in torch's graph; None for another failure."""
    operator, node = _NO_ONNX.search(message), _TORCH_NODE.search(message)
    return (operator[1], node[1]) if operator and node else None


def nodes_of(model: Path) -> list[Node]:
    """The nodes of an ONNX file with their layers; none where the file cannot be read."""
    import onnx

    try:
        graph = onnx.load(str(model), load_external_data=False).graph
    except Exception:  # whatever is wrong with the file, the conversion that failed has said so already
        return []
    return [
        Node(n.op_type, n.name, layer_name({p.key: p.value for p in n.metadata_props}.get(SCOPES))) for n in graph.node
    ]


def layer_name(scopes: str | None) -> str:
    """The innermost module in torch's list of scopes, whose last entry is the operator itself."""
    found = _SCOPE.findall(scopes or "")
    modules = [scope for scope in found[:-1] if scope]
    return modules[-1].removeprefix("net.") if modules else "the network itself"
