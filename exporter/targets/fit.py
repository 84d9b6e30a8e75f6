"""How a model file fits a target: read from its operators, without the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from edgetl.exporter.targets import tensorrt
from edgetl.exporter.targets.record import Target
from edgetl.runtime.graphs import OnnxGraph, read_onnx, read_tflite
from edgetl.runtime.manifest import Precision
from edgetl.runtime.proof import Proof


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """`on_engine` of `operators` run on the target's engine; `falls_back` counts the others by kind, `first` names
    the first of them. `missing` are operators that the device does not have, `broken` the rules that do not hold."""

    target: str
    title: str
    model: str
    operators: int
    on_engine: int
    falls_back: dict[str, int]
    first: str | None
    rest: str
    missing: dict[str, str]
    broken: tuple[str, ...]
    precision: Precision = "int8"

    def words(self) -> str:
        """One line for a person."""
        start = f"{self.title}: {self.on_engine} of {self.operators} operators on its engine"
        if not self.falls_back:
            return start
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.falls_back.items())
        return f"{start}; {kinds} {self.rest} (from {self.first})"

    def refusal(self) -> str | None:
        """Why the model cannot run there, or None."""
        if self.missing:
            kind, name = next(iter(self.missing.items()))
            numbers = "float" if self.precision == "float16" else "int8"
            return f"{self.title} has no operator {kind} in {numbers} (at {name}); choose another --model"
        return self.broken[0] if self.broken else None


def fit(model: bytes, proof: Proof, target: Target) -> Fit:
    """Compares one model file, whose proof was read before, with a target of its format."""
    if target.engine.format == "tflite":
        graph = read_tflite(model, proof.model)
        nodes = [(o.kind, graph.tensors[o.outputs[0]].name if o.outputs else o.kind) for o in graph.operators]
        broken: tuple[str, ...] = ()
    else:
        onnx = read_onnx(model, proof.model)
        nodes = [(n.kind, n.name or n.outputs[0]) for n in onnx.nodes if n.kind not in tensorrt.QDQ]
        broken = _broken(onnx, proof, target)
    return _fit(nodes, {island.name for island in proof.islands}, broken, proof.model, target, proof.precision)


def _broken(graph: OnnxGraph, proof: Proof, target: Target) -> tuple[str, ...]:
    if proof.precision not in target.engine.precisions:
        return (f"{target.title} takes int8 and floats, and no {proof.precision}",)
    in_float = {island.name for island in proof.islands if proof.precision == "mixed"}
    return tuple(tensorrt.broken_rules(graph, in_float))


def _fit(
    nodes: list[tuple[str, str]], islands: set[str], broken: tuple[str, ...], model: str, target: Target,
    precision: Precision = "int8",
) -> Fit:  # fmt: skip
    engine = target.engine
    more = engine.in_float if precision == "float16" else frozenset[str]()
    taken = engine.operators | more if precision in engine.precisions else frozenset[str]()
    off = [i for i, (kind, name) in enumerate(nodes) if kind not in taken or name in islands]
    if engine.splits_once and off:
        off = list(range(off[0], len(nodes)))
    missing = {
        kind: name
        for kind, name in reversed(nodes)
        if kind not in engine.known
        and not (engine.format == "tflite" and (precision == "float16" or name in islands) and _is_litert_s_own(kind))
    }
    return Fit(
        target=target.name,
        title=target.title,
        model=model,
        operators=len(nodes),
        on_engine=len(nodes) - len(off),
        falls_back=_counted(nodes[i][0] for i in off),
        first=nodes[off[0]][1] if off else None,
        rest=engine.rest,
        missing=missing,
        broken=broken,
        precision=precision,
    )


def _is_litert_s_own(kind: str) -> bool:
    """Whether LiteRT has an operator itself; each of these computes in float, on whatever device it runs."""
    return not kind.startswith(("CUSTOM", "STABLEHLO", "BUILTIN"))


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    return dict(Counter(kinds).most_common())
