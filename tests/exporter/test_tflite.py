"""The int8 TFLite file, read from the file itself, and the process that makes it."""

from __future__ import annotations

import os
import re
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import ExportError
from edgetl.exporter import tflite
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.interpreters import open_named
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess
from tests.exporter.conftest import Refused


@pytest.fixture(scope="session")
def interpreter(small_bundle: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with zipfile.ZipFile(small_bundle) as archive:
        made = Interpreter(model_content=archive.read("model/int8.tflite"))
    made.allocate_tensors()
    return made


def test_input_and_output_are_int8_and_a_step_of_the_input_is_one_pixel_value(interpreter: Any) -> None:
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == result["dtype"] == np.int8
    assert tuple(given["shape"]) == (1, 64, 64, 3)
    assert tuple(result["shape"]) == (1, 5)
    assert given["quantization"] == (1.0, -128)
    assert result["quantization"][0] > 0


def test_no_tensor_in_the_file_is_a_float(interpreter: Any) -> None:
    tensors = interpreter.get_tensor_details()
    kinds = {t["name"]: np.dtype(t["dtype"]).name for t in tensors}
    assert len(kinds) > 100
    assert {name: kind for name, kind in kinds.items() if kind not in ("int8", "int32")} == {}


def test_int8_and_float_decide_alike_on_most_pictures(small_bundle: Path, small_data: Path) -> None:
    with open_bundle(small_bundle) as bundle:
        how = bundle.manifest.preprocessing
        images = [preprocess(read_picture(path), how) for path in sorted((small_data / "test").rglob("*.jpg"))]
        decisions = [
            [int(open_named(bundle, name, precision=precision).logits(image).argmax()) for image in images]
            for name, precision in (("litert", "int8"), ("onnxruntime", "int8"), ("litert", "float32"))
        ]
    for int8 in decisions[:2]:
        assert np.mean(np.array(int8) == np.array(decisions[2])) >= 0.7


@pytest.mark.slow
def test_same_run_exported_twice_gives_the_same_model_files(small_bundle: Path, refused_export: Refused) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        models = [name for name in archive.namelist() if name.startswith("model/")]
        assert len(models) == 3
        for name in models:
            assert archive.read(name) == (refused_export.kept / Path(name).name).read_bytes(), name


@pytest.mark.slow
def test_conversion_that_dies_is_one_line_that_names_the_log(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(os.urandom(4096))
    np.save(tmp_path / "calibration.npy", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(ExportError) as caught:
        tflite.convert(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "tflite.log") in str(caught.value)
    assert "exit code 1" in str(caught.value)
    log = (tmp_path / "tflite.log").read_text()
    assert "Traceback" in log  # in the log, where a developer looks, and not in front of the user
    assert not (tmp_path / "int8.tflite").exists()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "killed by SIGSEGV"),
        ("print('out of memory'); raise SystemExit(7)", "(exit code 7): out of memory"),
        ("pass", "(exit code 0): it said nothing"),
    ],
)
def test_every_end_of_the_process_has_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    """A program of a line in place of Python with TensorFlow."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}"\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    with pytest.raises(ExportError, match=re.escape(words)):
        tflite.convert(tmp_path)


def test_conversion_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\nexec sleep 60\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    monkeypatch.setattr(tflite, "TIMEOUT_S", 0.3)
    with pytest.raises(ExportError, match=r"did not end within 0\.3 s; its log is .*tflite\.log"):
        tflite.convert(tmp_path)
