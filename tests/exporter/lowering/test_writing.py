"""The file that is written says what the graph says, to readers that know nothing of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgetl.exporter.lowering.lower import lowered
from edgetl.exporter.lowering.writing import SIGNATURE, packed
from edgetl.runtime.graphs import read_tflite
from tests.exporter.lowering.files import by_litert, node, pictures, write

NODES = [node("Conv", "pixels w b", "x", pads=[1, 1, 1, 1]), node("Relu", "x", "y"),
         node("GlobalAveragePool", "y", "logits")]  # fmt: skip
CONSTANTS = {"w": np.ones((4, 3, 3, 3), np.float32), "b": np.arange(4, dtype=np.float32)}


def test_runtime_reads_the_same_graph(tmp_path: Path) -> None:
    graph = lowered(write(tmp_path, NODES, CONSTANTS))
    read = read_tflite(packed(graph), "float32.tflite")
    assert [o.kind for o in read.operators] == [o.kind for o in graph.operators]
    assert [(t.name, t.shape, t.type, t.constant) for t in read.tensors] == [
        (name, t.shape, t.type, t.data is not None) for name, t in graph.tensors.items()
    ]
    assert tuple(read.tensors[i].name for i in (*read.inputs, *read.outputs)) == (*graph.inputs, *graph.outputs)


def test_programs_that_ask_for_the_signature_find_it(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    graph, given = lowered(write(tmp_path, NODES, CONSTANTS)), pictures(1)
    interpreter = Interpreter(model_content=packed(graph))
    assert interpreter.get_signature_list() == {SIGNATURE: {"inputs": ["pixels"], "outputs": list(graph.outputs)}}
    run = interpreter.get_signature_runner(SIGNATURE)
    (found,) = run(pixels=given[0].transpose(0, 2, 3, 1)).values()
    np.testing.assert_array_equal(found, by_litert(graph, given)[0])
