"""Products of two activations: what XNNPACK makes of their second factor, and how an export keeps out of its way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgetl.exporter import calibration, tflite
from edgetl.exporter.deployed import write_module
from edgetl.exporter.quantization import Quantization, RangeRule
from edgetl.exporter.ranges import Range
from edgetl.exporter.second_factors import around_zero, second_factors
from edgetl.runtime.graphs import TfliteGraph, TfliteOperator, read_tflite
from edgetl.runtime.interpreters import Kernels, open_interpreter
from tests.exporter.simulation.nets import SIZE, Attending, pictures


@pytest.mark.parametrize("within", [(-1.0, 3.0), (-3.0, 1.0), (0.0, 2.0), (-2.0, 0.0)], ids=str)
def test_range_around_zero_holds_the_other_and_has_no_zero_point(within: Range) -> None:
    low, high = around_zero(within)
    assert low <= within[0] and high >= within[1]
    assert low == within[0] or high == within[1]
    assert -128 - low * 255 / (high - low) == pytest.approx(0, abs=1e-9)


def test_what_a_second_factor_is_moved_from_is_found() -> None:
    made = TfliteOperator("FULLY_CONNECTED", (0, 1), (2,))
    moved = [TfliteOperator("RESHAPE", (2, 3), (4,)), TfliteOperator("SPLIT", (3, 4), (5, 6))]
    product = TfliteOperator("BATCH_MATMUL", (5, 6), (7,))
    assert second_factors(TfliteGraph((), (made, *moved, product), (0,), (7,))) == {6, 4, 2}
    assert second_factors(TfliteGraph((), (made, *moved), (0,), (5,))) == set()


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


def apart(folder: Path, rule: RangeRule) -> tuple[bytes, float]:
    """The int8 file, and how far fast kernels are from the reference ones, against the spread of the logits."""
    tflite.convert(folder, Quantization(ranges=rule))
    data = (folder / "int8.tflite").read_bytes()
    fast, reference = (answers(data, kernels) for kernels in ("fast", "reference"))
    return data, float(np.abs(fast - reference).max() / np.ptp(reference))


@pytest.mark.slow
def test_fast_kernels_multiply_activations_as_the_reference_does(folder: Path) -> None:
    data, far = apart(folder, "mse")
    graph = read_tflite(data, "int8.tflite")
    factors = [graph.tensors[o.inputs[1]] for o in graph.operators if o.kind == "BATCH_MATMUL"]
    assert len(factors) == 2 and all(tensor.zeros == (0,) for tensor in factors)
    assert far < 0.05
    converters_own = apart(folder, "min-max")[1]
    assert converters_own > 4 * far  # else the ranges need no such care any more
