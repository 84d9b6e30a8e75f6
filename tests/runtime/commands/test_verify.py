"""`edgetl verify`: exit code 0 only for a bundle that answers here as it did at export."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from tests.conftest import edgetl
from tests.runtime import tiny


def test_good_bundle(small_bundle: Path) -> None:
    done = edgetl("verify", small_bundle)
    assert done.returncode == 0, done.stderr
    assert "sizes and hashes as promised" in done.stdout
    assert "passed" in done.stdout and "FAILED" not in done.stdout


def test_good_bundle_as_json(tiny_bundle: Path) -> None:
    done = edgetl("verify", tiny_bundle, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["passed"] is True


def tampered(name: str, data: bytes) -> bytes | None:
    """One stored output of the first golden picture moved by one step."""
    if name != "golden/golden.json":
        return data
    golden = msgspec.json.decode(data)
    for answer in golden["pictures"][0]["models"].values():
        answer["outputs"][0] += 1
    return msgspec.json.encode(golden)


def test_golden_answer_that_differs_is_exit_code_1(small_bundle: Path, tmp_path: Path) -> None:
    path = tiny.rewritten(small_bundle, tmp_path / "x.edgetl", tampered)
    done = edgetl("verify", path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "edgetl: E_GOLDEN: " in done.stderr and "do not run it on this device" in done.stderr
    assert "Traceback" not in done.stderr
    done = edgetl("verify", path, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["passed"] is False


@pytest.mark.parametrize(
    ("name", "code"), [("flipped", "E_HASH"), ("cut", "E_SIZE"), ("text", "E_FORMAT"), ("absent", "E_USAGE")]
)
def test_other_refusals_have_a_code_of_their_own(tiny_bundle: Path, tmp_path: Path, name: str, code: str) -> None:
    data = tiny_bundle.read_bytes()
    at = data.index(b"TFL3") + 100
    kinds = {"flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "cut": data[:-7], "text": b"hello\n" * 30}
    path = tmp_path / "x.edgetl"
    if name in kinds:
        path.write_bytes(kinds[name])
    done = edgetl("verify", path)
    assert done.returncode == (2 if name == "absent" else 1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"edgetl: {code}: {path}: ") and done.stderr.count("\n") == 1


def test_without_an_interpreter_it_says_what_to_install(tiny_bundle: Path) -> None:
    """The interpreters are hidden from the import system, as on a machine that has none."""
    program = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "hidden = ('ai_edge_litert', 'tflite_runtime', 'onnxruntime')\n"
        "importlib.util.find_spec = lambda name, package=None: None if name in hidden else real(name, package)\n"
        "from edgetl.cli import main\nmain()\n"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", program, "verify", str(tiny_bundle)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "E_MISSING_PART" in done.stderr and "pip install 'edgetl[device]'" in done.stderr


def test_proof_is_shown_and_read_again_from_the_files(small_bundle: Path) -> None:
    done = edgetl("verify", small_bundle, "--json")
    proofs = {p["model"]: p for p in json.loads(done.stdout)["proofs"]}
    assert set(proofs) == {"model/int8.tflite", "model/int8.onnx"}
    for proof in proofs.values():
        assert proof["islands"] == [] and proof["softmax"] == "outside" and proof["input"]["step"] == 1.0
    assert proofs["model/int8.tflite"]["labels"] == json.loads(done.stdout)["labels"]


@pytest.mark.parametrize(
    ("name", "replacement", "words"),
    [
        ("model/int8.tflite", "model/float32.tflite", "must be uint8 or int8 pixels, got float32"),
        ("proof.json", "", "it is not the model that was proved at export"),
    ],
)
def test_model_that_is_not_the_proved_one(
    small_bundle: Path, tmp_path: Path, name: str, replacement: str, words: str
) -> None:
    """Whoever wrote the manifest vouches for the changed file, so hashes say nothing."""
    import zipfile

    with zipfile.ZipFile(small_bundle) as archive:
        other = archive.read(replacement) if replacement else archive.read(name).replace(b'"MEAN":1', b'"MEAN":2')
    path = tiny.rewritten(small_bundle, tmp_path / "x.edgetl", lambda n, data: other if n == name else data)
    done = edgetl("verify", path)
    assert done.returncode == 1
    assert "E_FORMAT" in done.stderr and words in done.stderr, done.stderr
