"""Defects planted in the whole export: a converter that writes something else than the trained network is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.exporter.ladder.report import LadderRecord
from tests.cli.calling import Answer, call, refused
from tests.exporter.conftest import CONVERTER, through
from tests.exporter.sure import Sure

pytestmark = pytest.mark.slow
Array = NDArray[Any]


def export(sure: Sure, out: Path, defect: str, *limits: str) -> Answer:
    """Exports through the faulty converter, under the default limits where no others are given."""
    words = (*through(CONVERTER, defect, sure.earlier), *limits)
    return call("export", sure.run, "--out", out / "a.edgetl", "--rung", "mse", *words)


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_without_a_defect_the_gate_lets_it_pass(sure: Sure, tmp_path: Path, temporary: Path) -> None:
    """The control of all that follows: same program, same limits, nothing damaged."""
    answer = export(sure, tmp_path / "out", "none")
    assert answer.code == 0, answer
    assert left_in(tmp_path / "out") == ["a.edgetl"] and left_in(temporary) == []
    assert "converting" in (sure.run / "export-a.log").read_text()


@pytest.mark.fault("M8")
@pytest.mark.parametrize(
    ("defect", "words"),
    [
        ("swapped_channels", "points of recall of class"),
        ("wrong_inner_scale", "flips"),
        ("flat_logits", "gives logits of 0.10 times float's size, further off than --max-gain-error 20 %"),
        ("stale_labels", "points of recall of class"),
        ("collapsed", "points of recall of class"),
    ],
)
def test_int8_file_that_decides_otherwise_is_refused_with_a_report(
    sure: Sure, tmp_path: Path, temporary: Path, defect: str, words: str
) -> None:
    answer = export(sure, tmp_path / "out", defect)
    refused(answer, 1, "E_GATE", "model/int8.tflite (rung mse)", words, "no bundle was written")
    assert left_in(tmp_path / "out") == ["a.refused.json", "a.refused.png"]
    assert left_in(temporary) == []
    record = msgspec.json.decode((tmp_path / "out" / "a.refused.json").read_bytes(), type=LadderRecord)
    tflite, onnx = record.climb.attempts[0].outcomes
    assert not tflite.passed and onnx.passed  # the fault is the converter's, and the report says whose


def test_int8_file_whose_scores_alone_are_wrong_keeps_its_labels(sure: Sure, tmp_path: Path, temporary: Path) -> None:
    """Which is why labels are not all that the gate looks at."""
    export(sure, tmp_path / "out", "flat_logits")
    record = msgspec.json.decode((tmp_path / "out" / "a.refused.json").read_bytes(), type=LadderRecord)
    (reason,) = record.climb.attempts[0].outcomes[0].reasons
    assert "times float's size" in reason


@pytest.mark.fault("M3")
def test_input_in_another_scale_is_refused_before_anything_is_measured(
    sure: Sure, tmp_path: Path, temporary: Path
) -> None:
    answer = export(sure, tmp_path / "out", "wrong_input_scale")
    refused(answer, 1, "E_EXPORT", "model/int8.tflite", "must be exactly one pixel value", "got scale 2")
    assert left_in(tmp_path / "out") == [] and left_in(temporary) == []


WIDE = ("--max-drop", "100", "--max-recall-loss", "100", "--max-flips", "100", "--max-gain-error", "1000")


@pytest.mark.parametrize("limits", [(), WIDE], ids=["default", "wide"])
def test_float_file_that_is_not_the_network_is_refused(
    sure: Sure, tmp_path: Path, temporary: Path, limits: tuple[str, ...]
) -> None:
    """Whatever the user lets int8 lose: limits for rounding say nothing of a file that is not rounded."""
    answer = export(sure, tmp_path / "out", "swapped_float_channels", *limits)
    refused(answer, 1, "E_EXPORT", "model/float32.tflite", "is not the trained network; no bundle was written")
    assert left_in(tmp_path / "out") == [] and left_in(temporary) == []


def swapped_onnx(graph: Any) -> None:
    """Red and blue change places: the first layer's weights in another order."""
    _change(graph, first_weights(graph), lambda weights: weights[:, ::-1])


def wrong_scale_onnx(graph: Any) -> None:
    """The weights of the first layer are eight times what they were."""
    _change(graph, scale_of(graph, first_weights(graph)), lambda scale: scale * 8)


def stale_onnx(graph: Any) -> None:
    """The classes stand in another order: the logits are turned by one before they leave."""
    from onnx import helper, numpy_helper

    out = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["unturned" if name == out else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.int64([2, 0, 1]), "turn"))
    graph.node.append(helper.make_node("Gather", ["unturned", "turn"], [out], axis=1))


def first_weights(graph: Any) -> str:
    """The stored weights of the first convolution."""
    made_by = {name: node for node in graph.node for name in node.output}
    conv = next(node for node in graph.node if node.op_type == "Conv")
    return str(made_by[conv.input[1]].input[0])


def scale_of(graph: Any, stored: str) -> str:
    """The scale that stored weights are read with."""
    return str(
        next(node.input[1] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] == stored)
    )


def _change(graph: Any, name: str, how: Callable[[Array], Array]) -> None:
    from onnx import numpy_helper

    (constant,) = [c for c in graph.initializer if c.name == name]
    changed = np.ascontiguousarray(how(numpy_helper.to_array(constant)))
    constant.CopyFrom(numpy_helper.from_array(changed, name))


@pytest.mark.fault("M8")
@pytest.mark.parametrize("damage", [swapped_onnx, wrong_scale_onnx, stale_onnx], ids=lambda f: f.__name__)
def test_onnx_file_that_decides_otherwise_is_refused_and_named(
    sure: Sure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Any], None]
) -> None:
    """A quantizer of onnxruntime's with a fault: it writes its file, and something happens to that."""
    import onnx
    from onnxruntime import quantization

    sound = quantization.quantize_static

    def faulty(given: str, written: str, *rest: Any, **more: Any) -> None:
        sound(given, written, *rest, **more)
        model = onnx.load(written)
        damage(model.graph)
        onnx.save(model, written)

    monkeypatch.setattr(quantization, "quantize_static", faulty)
    answer = export(sure, tmp_path / "out", "none")
    refused(answer, 1, "E_GATE", "model/int8.onnx (rung mse)", "no bundle was written")
    record = msgspec.json.decode((tmp_path / "out" / "a.refused.json").read_bytes(), type=LadderRecord)
    tflite, graph = record.climb.attempts[0].outcomes
    assert tflite.passed and not graph.passed


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ("SIGSEGV", "crashed with SIGSEGV"),
        ("SIGABRT", "crashed with SIGABRT"),
        ("SIGKILL", "as Linux does to the largest process when memory runs out"),
    ],
)
def test_crash_is_one_line_and_the_log_stays_in_the_run(
    sure: Sure, tmp_path: Path, temporary: Path, signal: str, words: str
) -> None:
    answer = export(sure, tmp_path / "out", signal)
    log = sure.run.resolve() / "export-a.log"
    refused(answer, 1, "E_EXPORT", "the TFLite conversion failed", words, f"its log is {log}")
    assert "converting" in log.read_text()
    assert left_in(tmp_path / "out") == [] and left_in(temporary) == []


@pytest.mark.parametrize("words", ["no-such-program of ours", "'open", ""])
def test_converter_that_is_no_program(sure: Sure, tmp_path: Path, words: str) -> None:
    answer = call("export", sure.run, "--out", tmp_path / "a.edgetl", "--converter", words)
    refused(answer, 2, "E_USAGE", "--converter")
