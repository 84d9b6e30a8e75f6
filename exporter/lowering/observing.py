"""The ranges of a float graph's activations, read from the calibration pictures by LiteRT's fast kernels.

Every activation is an output of the file that is watched, since a delegate hides what is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.exporter.calibration import CONSTANT, stream
from edgetl.exporter.lowering.graph import CLIPS, Graph
from edgetl.exporter.lowering.writing import packed
from edgetl.exporter.quantization import RangeRule
from edgetl.exporter.ranges import Range, bounded, histograms_of, range_of, spans_of


def ranges_of(graph: Graph, pictures: Path, rule: RangeRule) -> dict[str, Range]:
    """The rule's range for every activation; logits have their own. The smallest and largest values are those of the two constant
    pictures too, which say nothing of any other range."""
    names = graph.activations()
    if rule == "min-max":
        return spans_of(names, lambda: _seen(graph, names, pictures, 0))
    histograms = histograms_of(names, lambda: _seen(graph, names, pictures, CONSTANT))
    ranges = {n: range_of(h, rule, logits=n in graph.outputs) for n, h in histograms.items()}
    bounds = _bounds(graph)
    return {n: bounded(r, bounds[n]) if n in bounds else r for n, r in ranges.items()}


def _bounds(graph: Graph) -> dict[str, Range]:
    """Between which values the results of clips lie."""
    kinds = {o.outputs[0]: o.options.get("fusedActivationFunction", o.kind) for o in graph.operators}
    return {name: CLIPS[kind] for name, kind in kinds.items() if kind in CLIPS}


def _seen(graph: Graph, names: list[str], pictures: Path, first: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The activations, as each picture fills them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=packed(msgspec.structs.replace(graph, outputs=tuple(names))))
    interpreter.allocate_tensors()
    (given,), results = interpreter.get_input_details(), interpreter.get_output_details()
    for image in islice(stream(pictures), first, None):
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        for name, result in zip(names, results, strict=True):
            yield name, interpreter.get_tensor(result["index"])
