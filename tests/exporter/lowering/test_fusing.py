"""The mean is subtracted row by row: the same bytes come out, with fewer calls."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgetl.exporter import calibration
from edgetl.exporter.lowering.graph import Graph
from edgetl.exporter.lowering.lower import lowered
from edgetl.exporter.lowering.observing import ranges_of
from edgetl.exporter.lowering.quantizing import quantized
from edgetl.exporter.lowering.writing import packed
from tests.exporter.lowering.files import by_litert, node, write

SHAPE = (1, 3, 16, 12)
SHIFT = np.array([-123.7, -116.3, -103.5], np.float32).reshape(1, 3, 1, 1)


def graph_of(folder: Path, nodes: list[object], shift: np.ndarray = SHIFT) -> Graph:  # type: ignore[type-arg]
    constants = {"shift": shift, "w": np.random.default_rng(0).normal(0, 0.1, (4, 3, 3, 3)).astype(np.float32)}
    return lowered(write(folder, nodes, constants, SHAPE))  # type: ignore[arg-type]


NODES = [node("Add", "pixels shift", "x"), node("Conv", "x w", "logits")]


def per_pixel(graph: Graph) -> Graph:
    """The graph with one value a channel, as ONNX has it."""
    row = graph.tensors["shift"]
    assert row.data is not None
    one = msgspec.structs.replace(row, shape=(1, 1, 1, 3), data=row.data[:, :, :1])
    return msgspec.structs.replace(graph, tensors={**graph.tensors, "shift": one})


@pytest.mark.parametrize("kernels", ["AUTO", "BUILTIN_REF"])
def test_a_row_is_added_at_once_and_answers_to_the_bit_as_before(tmp_path: Path, kernels: str) -> None:
    graph = graph_of(tmp_path, NODES)
    assert graph.tensors["shift"].shape == (1, 1, 12, 3)
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 12, 3), np.uint8)
    calibration.save(images, tmp_path / "calibration.npy")
    ranges = ranges_of(graph, tmp_path / "calibration.npy", "min-max")
    given = [image[None].astype(np.float32).transpose(0, 3, 1, 2) for image in images]
    for after, before in (
        (graph, per_pixel(graph)),
        (quantized(graph, ranges), quantized(per_pixel(graph), ranges)),
    ):
        assert 0 < len(packed(after)) - len(packed(before)) < 500
        np.testing.assert_array_equal(by_litert(after, given, kernels), by_litert(before, given, kernels))


def test_what_is_read_elsewhere_too_stays(tmp_path: Path) -> None:
    twice = [node("Add", "pixels shift", "x"), node("Mul", "x shift", "y"), node("Conv", "y w", "logits")]
    graph = graph_of(tmp_path, twice)
    constants = [t.shape for name, t in graph.tensors.items() if name.startswith("shift")]
    assert (1, 1, 12, 3) in constants and (1, 1, 1, 3) in constants  # one for each reader


def test_single_number_is_added_as_it_is(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, NODES, np.float32(-128))  # type: ignore[arg-type]
    assert graph.tensors["shift"].shape == ()
