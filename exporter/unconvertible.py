"""Names the operator and the layer that a conversion failed at, from what torch, ONNX and the interpreter say of it."""

from __future__ import annotations

import re
from pathlib import Path

from edgetl.runtime.graphs import TfliteGraph

# torch's exporter, for an operator that it has no ONNX form of; the node is one of its own graph.
_NO_ONNX = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")
_TORCH_NODE = re.compile(r"Error when translating node %(\w+)")
# Torch writes the scopes as Python prints a list of names. Read as text: Python 3.11 counts the depth of its syntax trees
# for all threads together, so that reading them as Python fails now and then where two files are made side by side.
_SCOPE = re.compile(r"'([^']*)'")
SCOPES = "pkg.torch.onnx.name_scopes"  # where torch writes an ONNX node's layer
# The interpreter, for an operator that it has no kernel of in the file's numbers; the node is the operator's place in the file.
_NO_KERNEL = re.compile(r"Node number (\d+) \((\w+)\) failed")


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


def layer_of(node: str, model: Path) -> str:
    """The layer of the network that a node of an ONNX file came from."""
    import onnx

    scopes = (n.metadata_props for n in onnx.load(str(model), load_external_data=False).graph.node if n.name == node)
    return layer_name({p.key: p.value for p in next(scopes, ())}.get(SCOPES))


def layer_name(scopes: str | None) -> str:
    """The innermost module in torch's list of scopes, whose last entry is the operator itself."""
    found = _SCOPE.findall(scopes or "")
    modules = [scope for scope in found[:-1] if scope]
    return modules[-1].removeprefix("net.") if modules else "the network itself"
