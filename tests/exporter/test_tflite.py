"""The int8 TFLite file, read from the file itself, and the process that makes it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import ExportError, StorageError
from edgetl.exporter import tflite
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.tflite import Converter
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.interpreters import open_named
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess
from edgetl.runtime.proof import prove
from tests.exporter import graphs
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


def sha256(data: bytes) -> str:
    """Of files that differ, pytest would look for the differences for hours."""
    return hashlib.sha256(data).hexdigest()


def kept(export: Refused, name: str) -> Path:
    return export.kept / "rungs" / "mse" / name


@pytest.mark.slow
def test_same_run_exported_twice_gives_the_same_model_files(small_bundle: Path, refused_export: Refused) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        # The refused export got as far as the rung's own models; the float one is described when a bundle is written.
        models = [name for name in archive.namelist() if name.startswith("model/int8")]
        assert len(models) == 2
        for name in models:
            assert sha256(archive.read(name)) == sha256(kept(refused_export, Path(name).name).read_bytes()), name


@pytest.mark.slow
def test_gelu_is_one_operator_in_int8_in_both_files(tmp_path: Path) -> None:
    """Transformers have it. Written out with an error function, as ONNX did before, it could not be converted at all."""
    import torch
    from torch import nn

    from edgetl.exporter import onnx_int8
    from edgetl.exporter.deployed import write_module

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).eval()
    write_module(net, 32, tmp_path / "model.onnx")
    np.save(tmp_path / "calibration.npy", np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))
    onnx_int8.quantize(tmp_path)
    assert prove((tmp_path / "int8.onnx").read_bytes(), "onnx", "m").operators["Gelu"] == 1
    tflite.convert(tmp_path)
    proof = prove((tmp_path / "int8.tflite").read_bytes(), "tflite", "m")
    assert proof.operators["GELU"] == 1 and proof.fully_int8


@pytest.mark.slow
def test_float_file_is_the_same_beside_another_conversion_and_by_itself(tmp_path: Path) -> None:
    """One process makes it after the quantized file of other weights of that net."""
    other, beside, alone = (tmp_path / name for name in ("other", "beside", "alone"))
    for folder in (other, beside, alone):
        folder.mkdir()
        graphs.written(folder)
    tflite.convert(other, Quantization(ranges="mse"), float_of=beside)
    assert sorted(p.name for p in beside.glob("*.tflite")) == ["float32.tflite"]
    tflite.convert(alone, Quantization(precision="float32"))
    found = {sha256((folder / "float32.tflite").read_bytes()) for folder in (other, beside, alone)}
    assert len(found) == 1 and (other / "int8.tflite").exists()


def test_converter_does_without_torch() -> None:
    """torch would be 200 MB more, and more than a second."""
    program = "import edgetl.exporter.tflite_process, sys; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


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


def ends_so(program: str) -> Converter:
    """A converter of a line of Python."""
    return Converter((sys.executable, "-c", program))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "(crashed with SIGSEGV): it said nothing"),
        ("print('no such operator'); raise SystemExit(7)", "(exit code 7): no such operator"),
        ("pass", "(exit code 0): it said nothing"),
    ],
)
def test_every_end_of_the_process_has_its_words(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(ExportError, match=re.escape(words)):
        tflite.convert(tmp_path, converter=ends_so(program))


def test_converter_that_runs_out_of_memory_says_so(tmp_path: Path) -> None:
    """It may have 300 MB, and asks for a gigabyte."""
    program = "import resource as r; r.setrlimit(r.RLIMIT_AS, (300 << 20,) * 2); bytes(1 << 30)"
    with pytest.raises(ExportError, match=r"no memory was left \(MemoryError\); close other programs") as caught:
        tflite.convert(tmp_path, converter=ends_so(program))
    assert "Traceback" in (tmp_path / "tflite.log").read_text() and "Traceback" not in str(caught.value)


# Fills the disk, and ends in words of its own.
FILLING = """
import sys
try:
    with open(sys.argv[1] + "/saved_model", "wb") as out:
        out.write(bytes(1 << 20))
except OSError as error:
    print("could not save the graph")
    raise SystemExit(1)
"""


@pytest.mark.fault("M7")
@pytest.mark.parametrize("told", [True, False], ids=["says so", "says something else"])
def test_disk_that_fills_while_converting_is_no_fault_of_the_net(full_disk: Path, tmp_path: Path, told: bool) -> None:
    """The work folder is full, or the program says that some other disk is."""
    folder, log = (tmp_path if told else full_disk), tmp_path / "export.log"
    words = "print('OSError: [Errno 28] No space left on device'); raise SystemExit(1)" if told else FILLING
    with pytest.raises(StorageError, match="the disk is full"):
        tflite.convert(folder, converter=Converter((sys.executable, "-c", words), log))
    control = Converter((sys.executable, "-c", "print('no such operator'); raise SystemExit(1)"), log)
    with pytest.raises(ExportError, match="no such operator"):
        tflite.convert(tmp_path, converter=control)


@pytest.mark.fault("M7")
def test_calibration_pictures_that_do_not_fit_on_the_disk_are_one_line(full_disk: Path) -> None:
    from edgetl.exporter.calibration import save

    with pytest.raises(StorageError, match="the disk is full"):
        save(np.zeros((4, 224, 224, 3), np.uint8), full_disk / "calibration.npy")


def test_log_of_an_earlier_conversion_is_kept_and_not_blamed(tmp_path: Path) -> None:
    log = tmp_path / "export-a.log"
    for words in ("first words", "second words"):
        with pytest.raises(ExportError, match=words):
            tflite.convert(tmp_path, converter=Converter((sys.executable, "-c", f"print('{words}')"), log))
    with pytest.raises(ExportError, match="it said nothing"):
        tflite.convert(tmp_path, converter=Converter((sys.executable, "-c", ""), log))
    assert log.read_text().splitlines() == ["first words", "second words"]


def test_conversion_that_never_ends_is_ended(tmp_path: Path) -> None:
    endless = Converter(("sh", "-c", "sleep 60"), timeout_s=0.3)
    with pytest.raises(ExportError, match=r"did not end within 0\.3 s; its log is .*tflite\.log"):
        tflite.convert(tmp_path, converter=endless)
