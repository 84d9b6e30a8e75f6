"""A proof says what a model file computes in, and the rules say what must not ship."""

from __future__ import annotations

import io
import zipfile
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.manifest import Precision
from edgetl.runtime.proof import Island, Proof, prove, refusal
from tests.runtime import tiny

pytest.importorskip("onnx", reason="needs onnx to make models")


def of_tflite(**changes: Any) -> Proof:
    return prove(tiny.tflite(**changes), "tflite", "model/int8.tflite")


def test_int8_file_is_proved() -> None:
    proof = of_tflite()
    assert proof.fully_int8 and proof.operators == {"MEAN": 1} and proof.tensors == {"int8": 2, "int32": 1}
    assert (proof.input.type, proof.input.shape, proof.input.step, proof.input.zero) == (
        "int8",
        (1, 32, 32, 3),
        1.0,
        -128,
    )
    assert refusal(proof, tiny.LABELS, tiny.SIZE) is None
    assert (
        proof.words()
        == "1 operators, all in int8; input int8 1×32×32×3, one step is 1 pixel value; ends in 3 values, which are no softmax's"
    )


def test_float_file_is_no_int8_whatever_its_name() -> None:
    proof = of_tflite(dtype="float32", step=None)
    assert not proof.fully_int8
    assert [(i.operator, i.name, i.types) for i in proof.islands] == [("MEAN", "logits", "float32, int32 → float32")]


def test_int16_is_not_int8() -> None:
    assert [i.types for i in of_tflite(dtype="int16").islands] == ["int16, int32 → int16"]


@pytest.mark.fault("M3")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (1, 3, 32, 32)}, "the input must be 1×32×32×3, got 1×3×32×32"),
        ({"shape": (-1, 32, 32, 3)}, "got ?×32×32×3"),
        ({"shape": (1, 16, 16, 3)}, "got 1×16×16×3"),
        ({"shape": ()}, "got no dimensions"),
        ({"dtype": "float32", "step": None}, "must be uint8 or int8 pixels, got float32"),
        ({"dtype": "int16"}, "must be uint8 or int8 pixels, got int16"),
        ({"step": (1 / 255, -128)}, "(scale 1, zero point -128), got scale 0.00392157, zero point -128"),
        ({"step": (1.0, 0)}, "got scale 1, zero point 0"),
        ({"dtype": "uint8", "step": (1.0, 5)}, "(scale 1, zero point 0), got scale 1, zero point 5"),
    ],
)
def test_file_outside_the_contract_is_refused_expected_against_found(changes: dict[str, Any], words: str) -> None:
    reason = refusal(of_tflite(**changes), tiny.LABELS, tiny.SIZE)
    assert reason is not None and words in reason


@pytest.mark.fault("M3")
def test_int8_without_a_scale_stands_for_nothing() -> None:
    with pytest.raises(ModelError, match="picture is int8 without a scale"):
        of_tflite(step=None)


def test_scale_of_nothing_is_told_by_operator_and_layer() -> None:
    with pytest.raises(ModelError, match="picture of MEAN logits has a scale that is not a positive number"):
        of_tflite(step=(0.0, -128))


def said(model: bytes, precision: Precision) -> str | None:
    """What speaks against a TFLite file that is said to be of that precision."""
    return refusal(prove(model, "tflite", f"model/{precision}.tflite", precision), tiny.LABELS, tiny.SIZE)


@pytest.mark.parametrize("precision", ["int16", "float16"])
def test_where_steps_are_no_pixel_values_pixels_go_in_as_floats(precision: Precision) -> None:
    assert said(tiny.tflite(dtype="float32", step=None), "float16") is None
    assert "must be pixel values in float32, got int8" in str(said(tiny.tflite(), precision))
    assert "must be 1×32×32×3" in str(said(tiny.tflite(shape=(1, 16, 16, 3), dtype="float32", step=None), precision))


def test_file_that_is_int8_throughout_is_not_a_mixed_one() -> None:
    assert said(tiny.tflite(), "mixed") == "no layer stayed in float, though the file is said to be mixed"


def layers(*islands: str, precision: Precision = "int8", kinds: str = "CONV_2D") -> Proof:
    """The proof of a file with three layers and a mean, of which these names are islands."""
    found = tuple(Island("MEAN" if n == "mean" else kinds, n, "float32 → float32") for n in islands)
    ends = msgspec.structs.replace(of_tflite(), operators={kinds: 3, "MEAN": 1}, precision=precision)
    return msgspec.structs.replace(ends, islands=found)


@pytest.mark.parametrize("kinds", ["CONV_2D", "FULLY_CONNECTED", "Conv", "MatMul"])
def test_layer_in_float_is_no_int8_and_anything_else_in_float_is_named(kinds: str) -> None:
    assert refusal(layers("mean", kinds=kinds), tiny.LABELS, tiny.SIZE) is None
    assert layers("mean").words().startswith("4 operators, 1 of them not in int8")
    reason = refusal(layers("mean", "b", kinds=kinds), tiny.LABELS, tiny.SIZE)
    assert reason == f"1 layers do not compute in int8, first {kinds} b (float32 → float32)"


def test_mixed_has_layers_of_both_kinds() -> None:
    assert refusal(layers("b", precision="mixed"), tiny.LABELS, tiny.SIZE) is None
    reason = refusal(layers("a", "b", "c", precision="mixed"), tiny.LABELS, tiny.SIZE)
    assert reason == "no layer computes in int8, though the file is said to be mixed"
    assert not layers(precision="mixed").fully_int8


def test_labels_that_are_packed_into_the_file_must_be_the_bundles() -> None:
    """Written as other tools read them: in a zip behind the model."""
    packed = with_labels(tiny.tflite(), "\n".join(tiny.LABELS))
    assert refusal(prove(packed, "tflite", "m"), tiny.LABELS, tiny.SIZE) is None
    stale = with_labels(tiny.tflite(), "red\nblue\ngreen\n")
    reason = refusal(prove(stale, "tflite", "m"), tiny.LABELS, tiny.SIZE)
    assert reason == "the labels packed into the file are red, blue, green, expected red, green, blue"


def with_labels(model: bytes, labels: str) -> bytes:
    out = io.BytesIO(model)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("labels.txt", labels)
    return out.getvalue()


def test_softmax_inside_must_have_steps_that_sum_to_one() -> None:
    ends = of_tflite()
    for step, reason in ((1 / 256, None), (1 / 255, "probabilities in steps of 0.00392157 do not sum to one")):
        output = msgspec.structs.replace(ends.output, step=step)
        found = refusal(msgspec.structs.replace(ends, softmax="inside", output=output), tiny.LABELS, tiny.SIZE)
        assert (found is None) == (reason is None) and (reason or "") in (found or "")


def test_softmax_at_the_end_of_a_graph_is_seen() -> None:
    assert qdq(["Conv", "Softmax"]).softmax == "inside" and qdq(["Conv", "Conv"]).softmax == "outside"


def test_more_labels_than_outputs() -> None:
    reason = refusal(of_tflite(), ("a", "b", "c", "d"), tiny.SIZE)
    assert reason == "the output must be 1×4, one logit a label, got 1×3"


@pytest.mark.parametrize("outputs", [0, 2])
def test_other_than_one_output(outputs: int) -> None:
    with pytest.raises(ModelError, match=f"one input and one output, got 1 and {outputs}"):
        of_tflite(outputs=outputs)


def qdq(kinds: list[str], *, float_weight: bool = False, bare: str | None = None, zero: int = 0) -> Proof:
    """A chain of nodes with a quantized value after each but `bare`; pixels go in, logits come out."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.float32(1), "one"), numpy_helper.from_array(np.uint8(zero), "zero"),
        numpy_helper.from_array(np.float32(0.1), "step"), numpy_helper.from_array(np.uint8(7), "z"),
        numpy_helper.from_array(np.int8(0), "w_z"), numpy_helper.from_array(np.int64([1, 3, 8, 8]), "shape"),
        numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32 if float_weight else np.int8), "weight"),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["turned", "one", "zero"], ["v0"]),
    ]
    weight = "weight"
    if not float_weight:
        weight = "w"
        nodes.append(helper.make_node("DequantizeLinear", ["weight", "step", "w_z"], ["w"]))
    value = "v0"
    for number, kind in enumerate(kinds, start=1):
        more = {"Conv": [weight], "Reshape": ["shape"], "Add": [value]}.get(kind, [])
        nodes.append(helper.make_node(kind, [value, *more], [f"o{number}"], name=f"{kind}_{number}"))
        value = f"o{number}"
        if kind != bare:
            nodes.append(helper.make_node("QuantizeLinear", [value, "step", "z"], [f"q{number}"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"q{number}", "step", "z"], [f"v{number}"]))
            value = f"v{number}"
    nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 8, 8, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 8, 8])], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return prove(model.SerializeToString(), "onnx", "model/int8.onnx")


def islands(proof: Proof) -> list[str]:
    return [island.name for island in proof.islands]


def test_chain_between_quantized_values_computes_in_int8() -> None:
    proof = qdq(["Conv", "Add", "Conv"])
    assert proof.fully_int8 and proof.operators == {"Conv": 2, "Transpose": 1, "Add": 1}
    assert (proof.input.type, proof.input.step, proof.input.zero) == ("uint8", 1.0, 0)


@pytest.mark.parametrize("kind", ["Relu", "Reshape"])
def test_clip_or_move_after_a_sum_belongs_to_it(kind: str) -> None:
    assert qdq(["Conv", kind], bare="Conv").fully_int8


def test_node_whose_values_stay_floats_is_an_island_and_so_is_what_it_feeds() -> None:
    assert islands(qdq(["Conv", "HardSwish", "Conv"], bare="HardSwish")) == ["HardSwish_2", "Conv_3"]


def test_float_weights_make_a_convolution_an_island() -> None:
    assert islands(qdq(["Conv", "Conv"], float_weight=True)) == ["Conv_1", "Conv_2"]


def test_input_step_is_that_of_the_value_the_pixels_become() -> None:
    proof = qdq(["Conv"], zero=3)
    assert "got scale 1, zero point 3" in str(refusal(proof, ("a", "b", "c"), 8))


def test_circle_and_use_before_making_are_damage() -> None:
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy"]
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Add", ["a", "a"], ["b"]),
             helper.make_node("Add", ["b", "a"], ["y"])]  # fmt: skip
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:]))
    with pytest.raises(ModelError, match="uses 'b', which nothing before it makes"):
        prove(model.SerializeToString(), "onnx", "m.onnx")


def test_endless_chain_of_moves_is_a_model_error() -> None:
    from onnx import TensorProto, helper, numpy_helper

    constants = [numpy_helper.from_array(np.float32(1), "s"), numpy_helper.from_array(np.uint8(0), "z")]
    names = ["v", *(f"v{i}" for i in range(5000)), "y"]
    nodes = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["v"])]
    nodes += [helper.make_node("Identity", [a], [b]) for a, b in pairwise(names)]
    ports = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, [3]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)).SerializeToString()
    with pytest.raises(ModelError, match="a chain of nodes"):
        prove(model, "onnx", "m.onnx")
