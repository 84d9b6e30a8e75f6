"""Two other ways to write an int8 ONNX graph: the same model in signed numbers, and the form that TensorRT takes."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.exporter.onnx_variants import signed, symmetric
from edgetl.exporter.targets import fit, load_target
from edgetl.exporter.targets.tensorrt import broken_rules
from edgetl.runtime.graphs import read_onnx
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.proof import prove, refusal
from tests.exporter.graphs import SIZE, pictures, quantized


def answers(model: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    interpreter = open_interpreter("onnxruntime", model, "m.onnx", 1, "reference")
    return np.stack([interpreter.logits(image) for image in pictures()])


def test_signed_activations_stand_for_the_same_real_values() -> None:
    before, after = answers(quantized()), answers(signed(quantized()))
    step = prove(quantized(), "onnx", "m").output.step
    assert np.abs(before - after).max() <= 2 * step, "more than rounding"
    graph = read_onnx(signed(quantized()), "m")
    zeros = {graph.constants[n.inputs[2]].type for n in graph.nodes if n.kind == "QuantizeLinear"}
    assert zeros == {"int8"}


def test_symmetric_form_answers_alike_in_coarser_steps() -> None:
    before, after = answers(quantized()), answers(symmetric(quantized()))
    spread = before.std()
    assert np.abs(before - after).max() < 0.6 * spread and np.abs(before - after).mean() < 0.15 * spread
    agree = (before.argmax(axis=1) == after.argmax(axis=1)).mean()
    assert agree >= 0.8


def test_symmetric_form_keeps_tensorrts_rules_and_the_shipped_one_does_not() -> None:
    assert list(broken_rules(read_onnx(symmetric(quantized()), "m"))) == []
    broken = "\n".join(broken_rules(read_onnx(quantized(), "m")))
    assert "is of uint8: TensorRT takes int8 only" in broken and "a bias must stay a float" in broken


def test_symmetric_form_is_proved_like_any_other() -> None:
    proof = prove(symmetric(quantized()), "onnx", "m.onnx")
    assert refusal(proof, ("a", "b", "c", "d"), SIZE) is None
    assert [i.operator for i in proof.islands] == ["Cast", "Transpose", "Add"], "the pixels' mean stays in floats"
    found = fit(symmetric(quantized()), proof, load_target("jetson-orin-nano"))
    assert found.refusal() is None and found.falls_back == {"Cast": 1, "Transpose": 1, "Add": 1}


def test_relu_that_the_quantization_stood_for_is_written_out() -> None:
    """onnxruntime drops a Relu before a zero point of 0; around zero nothing would cut off what is negative."""
    kinds = [n.kind for n in read_onnx(symmetric(quantized()), "m").nodes]
    assert kinds.count("Relu") >= 2


def test_both_are_the_same_bytes_every_time() -> None:
    for rewrite in (signed, symmetric):
        assert rewrite(quantized()) == rewrite(quantized())


def changed(how: str) -> bytes:
    """TensorRT's form with one rule broken."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(symmetric(quantized()))
    graph = model.graph
    values = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    weights = next(
        n for n in graph.node if n.op_type == "DequantizeLinear" and values.get(n.input[1], np.float32(0)).ndim
    )
    activation = next(n for n in graph.node if n.op_type == "QuantizeLinear")
    if how == "zero point":
        _set(graph, activation, 2, np.int8(3))
    elif how == "scale of 0":
        _set(graph, activation, 1, np.float32(0))
    elif how == "channels of an activation":
        _set(graph, activation, 1, np.ones(3, np.float32))
    elif how == "axis":
        next(a for a in weights.attribute if a.name == "axis").i = 3
    elif how == "float weights":
        conv = next(n for n in graph.node if n.op_type == "Conv")
        graph.initializer.append(numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "plain"))
        conv.input[1] = "plain"
    data: bytes = model.SerializeToString()
    return data


def _set(graph: object, node: object, position: int, value: object) -> None:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), "planted"))  # type: ignore[attr-defined]
    node.input[position] = "planted"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("zero point", "has a zero point other than 0"),
        ("scale of 0", "has no constant scale above 0"),
        ("channels of an activation", "has a scale for each channel of an activation"),
        ("axis", "has its scales along axis 3, expected 0"),
        ("float weights", "takes plain without a DequantizeLinear before it"),
    ],
)
def test_every_broken_rule_is_named_with_its_node(how: str, words: str) -> None:
    assert words in "\n".join(broken_rules(read_onnx(changed(how), "m")))
