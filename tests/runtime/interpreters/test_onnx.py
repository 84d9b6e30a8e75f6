"""ONNX models through onnxruntime: the same contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.interpreters import Interpreter, open_interpreter
from edgetl.runtime.preprocess import preprocess
from tests.runtime import pictures as pic
from tests.runtime import tiny

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnx", reason="needs onnx to make models")


def opened(model: bytes, **options: object) -> Interpreter:
    return open_interpreter("onnxruntime", model, "model/x.onnx", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("kernels", ["fast", "reference"])
def test_logits_are_the_models(dtype: str, kernels: str) -> None:
    image = preprocess(pic.noise(), tiny.HOW)
    interpreter = opened(tiny.onnx(dtype=dtype), kernels=kernels, threads=2)
    assert interpreter.logits(image) == pytest.approx(image.reshape(-1, 3).mean(axis=0), rel=1e-5)
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
