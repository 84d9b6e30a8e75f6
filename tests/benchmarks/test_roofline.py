"""The ceiling of a model is that of its operators, and the products that measure the peak compute what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetl.benchmarks.roofline.ceiling import Machine, ceiling
from edgetl.benchmarks.roofline.peak import Peak
from edgetl.benchmarks.roofline.products import INNER, ROWS, Type, onnx_product, tflite_product, weights
from edgetl.benchmarks.roofline_of_backbones import draw, trained
from edgetl.runtime.graphs.work import OperatorWork, Work, work_of
from edgetl.runtime.interpreters.tflite import MODULES, open_library

PEAK = Peak(1, 200.0, "litert", 50.0, "litert")


def test_each_operator_takes_the_longer_of_its_two_times() -> None:
    work = Work(
        (
            OperatorWork("CONV_2D", 400_000_000, 1_000_000, True),  # 2 ms of products, 0.1 ms of bytes
            OperatorWork("CONV_2D", 100_000_000, 1_000_000, False),  # 2 ms of products in float
            OperatorWork("ADD", 0, 30_000_000, True),  # 3 ms of bytes
        ),
        working_set=5_000_000,
    )
    found = ceiling(work, PEAK, copied_gb_s=10.0)
    assert (found.ms, found.gmac, found.moved_mb) == (pytest.approx(7.0), 0.5, 32.0)


def test_better_measurement_of_each_type_counts() -> None:
    other = Peak(1, 150.0, "onnxruntime", 60.0, "onnxruntime")
    assert PEAK.best(other) == other.best(PEAK) == Peak(1, 200.0, "litert", 60.0, "onnxruntime")


@pytest.mark.parametrize("type", ["int8", "float32"])
def test_products_are_products(type: Type) -> None:
    random = np.random.default_rng(1)
    ort = pytest.importorskip("onnxruntime")
    if type == "int8":
        left = random.integers(-128, 128, (ROWS, INNER), np.int8)
        true = np.clip(np.rint(left.astype(np.float64) @ weights(type) / 64**2), -128, 127)
        shifted = (left.astype(np.int16) + 128).astype(np.uint8)
    else:
        left = shifted = random.standard_normal((ROWS, INNER), np.float32)
        true = left.astype(np.float64) @ weights(type)
    interpreter = open_library(MODULES["litert"], tflite_product(type), "p", 1, "fast")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], left)
    interpreter.invoke()
    session = ort.InferenceSession(onnx_product(type), providers=["CPUExecutionProvider"])
    by_onnx = session.run(["out"], {"in": shifted})[0].astype(np.float64) - (128 if type == "int8" else 0)
    for found in (interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), by_onnx):
        assert np.abs(found - true).max() <= (1.0 if type == "int8" else 1e-2)


def test_peak_is_of_this_machine_and_the_best_look_counts() -> None:
    work = work_of(tflite_product("int8"), "p")
    here = Machine(seconds=0.0)
    here.look(work, 1)
    first = here.ceiling(work, 1)
    here.look(work, 1)
    again = here.ceiling(work, 1)
    assert here.peaks[0].int8_gmac_s > 0 and here.peaks[0].float32_gmac_s > 0
    assert 0 < again.ms <= first.ms
    assert len(here.peaks) == 1


@pytest.mark.slow
def test_backbone_without_public_weights_is_trained_on_what_was_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "data")
    run = trained("mobilenet_v2_050", tmp_path / "data", tmp_path, 32)
    assert (run / "metrics.json").is_file()
