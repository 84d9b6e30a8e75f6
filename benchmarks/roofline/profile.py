"""How long each operator of a TFLite file takes in LiteRT, which has no profiler of its own in Python.

The graph is cut after each operator, and each piece is timed; an operator takes what a piece takes longer than the one before.
Needs the schema that LiteRT brings, and an hour of patience for a net of thousands of operators.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from edgetl.benchmarks.roofline.ceiling import operator_ms
from edgetl.benchmarks.roofline.peak import Peak
from edgetl.runtime.graphs.work import OperatorWork, work_of
from edgetl.runtime.interpreters.tflite import MODULES, open_library

_RUNS, _WARM_UP = 25, 3


class OperatorTime(msgspec.Struct, frozen=True):
    """One operator: its work, how long it took, and the least that it could take."""

    work: OperatorWork
    ms: float
    ceiling_ms: float


class KindTime(msgspec.Struct, frozen=True):
    """All operators of one kind; `share` of the model's time, `roofline` the part of their own time that they had to take."""

    kind: str
    count: int
    ms: float
    share: float
    roofline: float


def profile(model: bytes, where: str, peak: Peak, copied_gb_s: float) -> list[OperatorTime]:
    """Every operator with one thread. Raises ModelError for a file that does not say its shapes."""
    works = work_of(model, where).operators
    ends = [_fastest_ms(piece, where) for piece in pieces(model)]
    times = np.diff([0.0, *np.maximum.accumulate(ends)])  # noise must not make time run backwards
    return [
        OperatorTime(work, round(float(ms), 4), round(operator_ms(work, peak, copied_gb_s), 4))
        for work, ms in zip(works, times, strict=True)
    ]


def by_kind(times: list[OperatorTime]) -> list[KindTime]:
    """The kinds of operators, the slowest first."""
    whole = sum(one.ms for one in times) or 1.0
    kinds = []
    for kind in dict.fromkeys(one.work.kind for one in times):
        own = [one for one in times if one.work.kind == kind]
        ms = sum(one.ms for one in own)
        least = sum(one.ceiling_ms for one in own)
        kinds.append(KindTime(kind, len(own), round(ms, 3), round(ms / whole, 4), round(least / ms, 4) if ms else 0.0))
    return sorted(kinds, key=lambda kind: -kind.ms)


def pieces(model: bytes) -> Iterator[bytes]:
    """The graph up to and with each operator; what nothing in the piece reads is its output."""
    import flatbuffers

    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    whole = schema.ModelT.InitFromPackedBuf(model, 0)
    graph, operators = whole.subgraphs[0], list(whole.subgraphs[0].operators)
    whole.signatureDefs = whole.metadata = None
    for count in range(1, len(operators) + 1):
        graph.operators = operators[:count]
        read = {int(n) for operator in graph.operators for n in operator.inputs}
        made = [int(n) for operator in graph.operators for n in operator.outputs]
        graph.outputs = [n for n in made if n not in read]
        builder = flatbuffers.Builder(len(model) + 4096)
        builder.Finish(whole.Pack(builder), b"TFL3")
        yield bytes(builder.Output())


def _fastest_ms(model: bytes, where: str) -> float:
    interpreter = open_library(MODULES["litert"], model, where, 1, "fast")
    port = interpreter.get_input_details()[0]
    noise = np.random.default_rng(0).integers(0, 256, port["shape"], np.uint8)
    interpreter.set_tensor(
        port["index"], noise.view(np.int8) if port["dtype"] == np.int8 else noise.astype(port["dtype"])
    )
    times = []
    for _ in range(_WARM_UP + _RUNS):
        start = time.perf_counter()
        interpreter.invoke()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)
