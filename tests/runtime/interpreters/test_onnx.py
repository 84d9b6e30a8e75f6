"""ONNX models through onnxruntime: the same contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.interpreters import OpenedModel, open_interpreter
from edgetl.runtime.preprocess import preprocess
from tests.runtime import pictures as pic
from tests.runtime import tiny

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnx", reason="needs onnx to make models")


def opened(model: bytes, **options: object) -> OpenedModel:
    return open_interpreter("onnxruntime", model, "model/x.onnx", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("kernels", ["fast", "reference"])
def test_logits_are_the_models(dtype: str, kernels: str) -> None:
    image = preprocess(pic.noise(), tiny.HOW)
    interpreter = opened(tiny.onnx(dtype=dtype), kernels=kernels, threads=2)
    logits = interpreter.logits(image)
    assert logits == pytest.approx(image.reshape(-1, 3).mean(axis=0), rel=1e-5)
    assert np.array_equal(interpreter.logits_of(interpreter.raw(image)), logits)
    assert (interpreter.size, interpreter.info.threads, interpreter.info.kernels) == (tiny.SIZE, 2, kernels)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        (("n", 32, 32, 3), "uint8", "got -1×32×32×3"),
        ((1, "h", "w", 3), "uint8", "got 1×-1×-1×3"),
        ((1, 3, 32, 32), "float32", "got 1×3×32×32"),
        ((1, 32, 32, 3), "int64", "got tensor(int64)"),
    ],
)
def test_model_outside_the_contract_is_refused(shape: tuple[int | str, ...], dtype: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        opened(tiny.onnx(shape, dtype))
    assert words in str(caught.value)


GOOD = tiny.onnx()


@pytest.mark.parametrize(
    "data", [b"", b"\x08", bytes(300), GOOD[: len(GOOD) // 2], np.random.default_rng(3).bytes(2000)]
)
def test_damaged_file_is_a_model_error_on_one_line(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        opened(data)
    assert str(caught.value).startswith("model/x.onnx: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "sub/../../secret.bin", "{absolute}"])
def test_data_outside_the_model_is_not_read(tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model asks for its weights from a file that exists wherever it could be looked for."""
    from onnx import TensorProto, helper

    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        np.full(3, 42.0, np.float32).tofile(folder / "secret.bin")
    monkeypatch.chdir(tmp_path / "here")
    outside = TensorProto(name="bias", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location.format(absolute=tmp_path / "secret.bin")), ("length", "12")):
        outside.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["mean", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 32, 32, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])], initializer=[outside],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(ModelError):
        opened(model.SerializeToString())
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == ["secret.bin"]


def qdq(zero: np.generic) -> bytes:
    """A graph that quantizes once, with that zero point."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [numpy_helper.from_array(np.float32(1), "s"), numpy_helper.from_array(np.asarray(zero), "z")]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
             helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])]  # fmt: skip
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy"]
    made: bytes = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)).SerializeToString()
    return made


def test_tensorrt_runs_graphs_of_its_form_only_and_keeps_its_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By rule: what onnxruntime is asked for on a machine that has TensorRT."""
    from edgetl.runtime.interpreters.onnx import providers_for

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    signed, unsigned = qdq(np.int8(0)), qdq(np.uint8(0))
    assert providers_for(there, unsigned, "m") == ["CPUExecutionProvider"]
    assert providers_for(["CPUExecutionProvider"], signed, "m") == ["CPUExecutionProvider"]
    (name, options), *rest = providers_for(there, signed, "m")
    assert (name, rest) == ("TensorrtExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert providers_for([there[0], there[2]], signed, "m")[1:] == ["CPUExecutionProvider"], "without CUDA's provider"
    assert options["trt_int8_enable"] and options["trt_engine_cache_enable"]
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir() and folder.is_relative_to(tmp_path)
    assert providers_for(there, signed, "m") == providers_for(there, signed, "m"), "the same engines next time"


def test_engine_that_is_asked_for_is_the_one_that_is_taken() -> None:
    from edgetl.runtime.interpreters.onnx import OnnxInterpreter, providers_for

    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    signed = qdq(np.int8(0))
    assert providers_for(there, signed, "m", "cpu") == ["CPUExecutionProvider"]
    assert providers_for(there, signed, "m", "cuda") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    found = OnnxInterpreter(tiny.onnx(), "m.onnx", 1, "fast", "cpu")
    assert found.info.name == "onnxruntime-cpu" and found.logits(preprocess(pic.noise(), tiny.HOW)).shape == (3,)


def test_processor_never_stands_in_for_a_gpu() -> None:
    import onnxruntime

    from edgetl.runtime.interpreters.onnx import OnnxInterpreter

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(ModelError, match=r"m\.onnx: .*CUDA"):
        OnnxInterpreter(tiny.onnx(), "m.onnx", 1, "fast", "cuda")


def test_without_a_place_for_engines_the_cpu_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgetl.runtime.interpreters.onnx import providers_for

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert providers_for(["TensorrtExecutionProvider"], qdq(np.int8(0)), "m") == ["CPUExecutionProvider"]
