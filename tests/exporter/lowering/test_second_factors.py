"""Products of two activations: what XNNPACK makes of their second factor, and how an export keeps out of its way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgetl.exporter import calibration
from edgetl.exporter.deployed import write_module
from edgetl.exporter.lowering import quantizing
from edgetl.exporter.lowering.graph import Graph, Operator
from edgetl.exporter.lowering.lower import lowered
from edgetl.exporter.lowering.observing import ranges_of
from edgetl.exporter.lowering.quantizing import quantized
from edgetl.exporter.lowering.second_factors import around_zero, second_factors
from edgetl.exporter.lowering.writing import packed
from edgetl.exporter.onnx_int8 import folded
from edgetl.exporter.ranges import Range
from edgetl.runtime.interpreters import Kernels, open_interpreter
from tests.exporter.simulation.nets import SIZE, Attending, pictures


@pytest.mark.parametrize("within", [(-1.0, 3.0), (-3.0, 1.0), (0.0, 2.0), (-2.0, 0.0)], ids=str)
def test_range_around_zero_holds_the_other_and_has_no_zero_point(within: Range) -> None:
    low, high = around_zero(within)
    assert low <= within[0] and high >= within[1]
    assert low == within[0] or high == within[1]
    assert -128 - low * 255 / (high - low) == pytest.approx(0, abs=1e-9)


def test_what_a_second_factor_is_moved_from_is_found() -> None:
    made = Operator("FULLY_CONNECTED", ("a", "b", ""), ("c",))
    moved = [Operator("RESHAPE", ("c", "d"), ("e",)), Operator("SLICE", ("e", "f", "g"), ("h",))]
    product = Operator("BATCH_MATMUL", ("i", "h"), ("j",))
    assert second_factors(Graph({}, [made, *moved, product], ("a",), ("j",))) == {"h", "e", "c"}
    assert second_factors(Graph({}, [made, *moved], ("a",), ("h",))) == set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net whose values far from zero are mixed by attention, as an ONNX graph with pictures that calibrate."""
    torch.manual_seed(0)
    net = Attending().eval()
    with torch.no_grad():
        net.qkv.bias[16:] += 3.0  # the third part of it, the values
    made = tmp_path_factory.mktemp("attending")
    write_module(net, SIZE, made / "model.onnx")
    calibration.save(pictures(16, seed=1).numpy(), made / "calibration.npy")
    return made


def answers(data: bytes, kernels: Kernels) -> NDArray[np.float32]:
    opened = open_interpreter("litert", data, "int8.tflite", 1, kernels)
    return np.stack([opened.logits(image) for image in pictures(10, seed=2).numpy()])


def apart(graph: Graph) -> float:
    """How far fast kernels are from the reference ones, against the spread of the logits."""
    fast, reference = (answers(packed(graph), kernels) for kernels in ("fast", "reference"))
    return float(np.abs(fast - reference).max() / np.ptp(reference))


@pytest.mark.slow
def test_fast_kernels_multiply_activations_as_the_reference_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = lowered(folded(folder))
    ranges = ranges_of(graph, folder / "calibration.npy", "mse")
    made = quantized(graph, ranges)
    factors = [made.tensors[o.inputs[1]].steps for o in made.operators if o.kind == "BATCH_MATMUL"]
    assert len(factors) == 2 and all(steps is not None and steps.zero.tolist() == [0] for steps in factors)
    assert apart(made) < 0.05
    monkeypatch.setattr(quantizing, "second_factors", lambda _: set())
    assert apart(quantized(graph, ranges)) > 4 * apart(made)  # else the ranges need no such care any more
