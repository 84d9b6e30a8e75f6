"""Interpreters are found by name, and a missing one says how to get it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.errors import MissingPartError, UsageError
from edgetl.runtime.interpreters import available, open_interpreter
from edgetl.runtime.interpreters.registry import INTERPRETERS, engines, format_of
from tests.runtime import tiny


def test_available_ones_are_those_that_open_a_model() -> None:
    models = {"tflite": tiny.tflite(), "onnx": tiny.onnx()}
    assert available()
    for name in INTERPRETERS:
        if name in available():
            assert open_interpreter(name, models[format_of(name)], "m").size == tiny.SIZE
        else:
            with pytest.raises(MissingPartError, match=r"pip install 'edgetl\[") as caught:
                open_interpreter(name, models[format_of(name)], "m")
            assert caught.value.exit_code == 3


def test_available_by_format() -> None:
    assert set(available("tflite")) | set(available("onnx")) == set(available())
    assert {format_of(name) for name in available("onnx")} <= {"onnx"}


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match="unknown interpreter 'tensorrt'; choose from litert, tflite-runtime, onnxruntime"
    ):
        open_interpreter("tensorrt", b"", "m")


def test_looking_for_interpreters_imports_none() -> None:
    program = (
        "import sys; from edgetl.runtime.interpreters import available; available();"
        "print([m for m in ('ai_edge_litert', 'tflite_runtime', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("libraries", "found"),
    [
        ((), ()),
        (("libonnxruntime_providers_shared.so",), ()),
        (("libonnxruntime_providers_cuda.so",), ("onnxruntime-cuda",)),
        (
            ("libonnxruntime_providers_cuda.so", "libonnxruntime_providers_tensorrt.so"),
            ("onnxruntime-cpu", "onnxruntime-cuda"),
        ),
        (("onnxruntime_providers_cuda.dll",), ("onnxruntime-cuda",)),
    ],
)
def test_other_ways_to_run_onnxruntime_are_told_by_its_libraries(
    tmp_path: Path, libraries: tuple[str, ...], found: tuple[str, ...]
) -> None:
    for name in libraries:
        (tmp_path / name).touch()
    assert engines(tmp_path) == found


def test_way_that_this_build_does_not_have_is_refused_and_never_replaced() -> None:
    if "onnxruntime-cuda" in engines():
        pytest.skip("this onnxruntime has CUDA")
    assert format_of("onnxruntime-cuda") == "onnx"
    with pytest.raises(MissingPartError, match="onnxruntime-cuda"):
        open_interpreter("onnxruntime-cuda", tiny.onnx(), "m.onnx")
