"""What a target's engine takes of a model, told from the file."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from edgetl.errors import ExportError, UsageError
from edgetl.exporter.proving import fit_models
from edgetl.exporter.targets import Fit, fit, load_target, target_names
from edgetl.exporter.targets.fit import _fit
from edgetl.runtime import device_config
from edgetl.runtime.manifest import ModelRecord, Precision
from edgetl.runtime.proof import Proofs, prove
from tests.runtime import tiny

CHAIN = [("CONV_2D", "a"), ("HARD_SWISH", "b"), ("CONV_2D", "c"), ("HARD_SWISH", "d"), ("MEAN", "e")]


def fitted(
    name: str,
    nodes: list[tuple[str, str]] = CHAIN,
    islands: frozenset[str] = frozenset(),
    precision: Precision = "int8",
) -> Fit:
    return _fit(nodes, set(islands), (), "model/int8.tflite", load_target(name), precision)


def test_cpu_runs_the_rest_in_its_own_kernels_one_by_one() -> None:
    found = fitted("raspberry-pi-4")
    assert (found.operators, found.on_engine, found.falls_back, found.first) == (5, 3, {"HARD_SWISH": 2}, "b")
    assert found.refusal() is None
    assert "2 HARD_SWISH runs in LiteRT's own kernels on the same cores, slower (from b)" in found.words()


def test_edge_tpu_leaves_everything_from_the_first_one_to_the_cpu() -> None:
    found = fitted("coral-edgetpu")
    assert (found.on_engine, found.falls_back, found.first) == (1, {"HARD_SWISH": 2, "CONV_2D": 1, "MEAN": 1}, "b")


def test_float_island_is_not_on_the_engine_whatever_its_kind() -> None:
    found = fitted("raspberry-pi-4", [("CONV_2D", "a"), ("CONV_2D", "c")], frozenset({"c"}))
    assert found.falls_back == {"CONV_2D": 1}


def test_every_device_by_name_is_a_target_and_besides_them_only_the_edge_tpu() -> None:
    assert set(target_names()) - {"coral-edgetpu"} == set(device_config.names())


@pytest.mark.parametrize(("name", "precision"), [("raspberry-pi-4", "int16"), ("coral-edgetpu", "float16")])
def test_file_of_a_precision_that_the_engine_does_not_take_runs_beside_it(name: str, precision: Precision) -> None:
    found = fitted(name, [("CONV_2D", "a"), ("MEAN", "e")], precision=precision)
    assert (found.on_engine, found.falls_back, found.refusal()) == (0, {"CONV_2D": 1, "MEAN": 1}, None)


def test_in_floats_the_engine_takes_more() -> None:
    assert fitted("raspberry-pi-4", precision="float16").falls_back == {}
    assert fitted("raspberry-pi-4").falls_back == {"HARD_SWISH": 2}


def test_operator_without_an_int8_kernel_runs_in_float() -> None:
    nodes = [("CONV_2D", "a"), ("SQRT", "b")]
    reason = fitted("raspberry-pi-4", nodes).refusal()
    assert reason is not None and "no operator SQRT in int8 (at b)" in reason
    assert fitted("raspberry-pi-4", nodes, precision="float16").refusal() is None
    assert fitted("raspberry-pi-4", nodes, frozenset({"b"}), "mixed").refusal() is None
    assert fitted("raspberry-pi-4", [*nodes, ("CUSTOM FlexErf", "c")], precision="float16").refusal() is not None


def test_a_jetson_nano_has_no_int8_on_its_gpu_so_its_processor_is_checked() -> None:
    nano, orin = load_target("jetson-nano"), load_target("jetson-orin-nano")
    assert (nano.engine.format, nano.engine.symmetric) == ("tflite", False)
    assert (orin.engine.format, orin.engine.symmetric) == ("onnx", True)


@pytest.mark.fault("M10")
@pytest.mark.parametrize("kind", ["CUSTOM FlexErf", "STABLEHLO_ADD", "BUILTIN_999"])
@pytest.mark.parametrize("name", [n for n in target_names() if load_target(n).engine.format == "tflite"])
def test_operator_that_no_kernel_has_is_refused_by_name_and_place(kind: str, name: str) -> None:
    reason = fitted(name, [("CONV_2D", "a"), (kind, "blocks.3/erf"), (kind, "later")]).refusal()
    assert reason is not None and f"has no operator {kind} in int8 (at blocks.3/erf)" in reason


@pytest.mark.fault("M10")
def test_file_with_such_an_operator_is_refused_at_export(tmp_path: Path) -> None:
    """A real file: its only operator's number is changed to one that no allow-list has."""
    from ai_edge_litert import schema_py_generated as schema

    data = bytearray(tiny.tflite())
    code = schema.Model.GetRootAs(data).OperatorCodes(0)
    assert code is not None
    for field in (4, 10):  # the operator's number stands in two fields of its table, at these vtable places
        offset = code._tab.Offset(field)
        data[code._tab.Pos + offset] = schema.BuiltinOperator.RANDOM_UNIFORM
    record, file = ModelRecord("model/int8.tflite", "tflite", "int8"), tmp_path / "int8.tflite"
    file.write_bytes(data)
    proofs = Proofs((prove(bytes(data), "tflite", record.path),))
    with pytest.raises(ExportError, match="has no operator RANDOM_UNIFORM in int8 \\(at logits\\)"):
        fit_models([(record, file)], proofs, None)


def test_every_target_is_whole_and_unknown_ones_are_named() -> None:
    for name in target_names():
        engine = load_target(name).engine
        assert engine.operators <= engine.known, name
    with pytest.raises(UsageError, match="unknown target 'pi5'; choose from raspberry-pi-3b-plus"):
        load_target("pi5")


def test_what_litert_hands_to_xnnpack_is_what_the_table_says(small_bundle: Path) -> None:
    """On this machine LiteRT tells which operators its XNNPACK delegate took."""
    from ai_edge_litert.interpreter import Interpreter

    with zipfile.ZipFile(small_bundle) as archive:
        model = archive.read("model/int8.tflite")
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    delegates = [o for o in interpreter._get_ops_details() if o["op_name"] == "DELEGATE"]
    if not delegates:
        pytest.skip("needs a LiteRT that uses XNNPACK on this machine")
    found = fit(model, prove(model, "tflite", "m"), load_target("generic-x86-64"))
    assert found.falls_back == {} and len(delegates) == 1
    assert Counter(found.falls_back).total() + found.on_engine == found.operators
