"""`edgetl parity` on a real run and its bundle: here, through a pipe, and on an emulated arm64 device."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgetl.exporter.parity.comparison import compare
from edgetl.exporter.parity.page import write_page
from edgetl.exporter.parity.record import Equality, Report, Row
from edgetl.exporter.parity.reporting import _failures, _notes
from edgetl.runtime.answers import Machine
from edgetl.runtime.decision import DecisionRule
from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused
from tests.conftest import ROOT, edgetl
from tests.emulation.chroot import ChrootDevice
from tests.exporter.conftest import CONVERTER, through
from tests.exporter.sure import Sure
from tests.runtime import tiny

ALSO = f"another process={shlex.quote(sys.executable)}"


@pytest.fixture(scope="session")
def made(small_run: Path, small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on the small run, which also asked this Python in a process of its own."""
    out = tmp_path_factory.mktemp("parity")
    done = edgetl("parity", small_run, small_bundle, "--out", out, "--split", "test", "--also", ALSO,
                  "--most-elsewhere", 10, "--max-flips", 100)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def report(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "parity.json").read_text())
    return found


def test_every_library_and_kernel_is_asked_here_and_there(report: dict[str, Any]) -> None:
    asked = {(r["model"], r["interpreter"], r["kernels"], r["machine"]) for r in report["rows"]}
    for machine in ("here", "another process"):
        for kernels in ("fast", "default", "reference"):
            assert ("model/int8.tflite", "litert", kernels, machine) in asked
        assert ("model/int8.onnx", "onnxruntime", "fast", machine) in asked
        assert ("model/int8.onnx, signed", "onnxruntime", "fast", machine) in asked
    assert {r["comparison"]["pictures"] for r in report["rows"] if r["machine"] == "here" and r["ships"]} == {20}
    assert {r["comparison"]["pictures"] for r in report["rows"] if r["machine"] != "here" and r["ships"]} == {10}
    assert {(r["model"], r["kernels"]) for r in report["rows"] if r["ships"]} == {
        ("model/int8.tflite", "fast"), ("model/int8.onnx", "fast"),
    }  # fmt: skip


def test_float_model_is_the_network_and_reference_kernels_agree_to_the_bit(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        if row["model"] == "model/float32.tflite":
            assert row["comparison"]["same"] == row["comparison"]["pictures"]
            assert row["comparison"]["logit_error"]["snr_db"] > 60
    exact = [pair for pair in report["equalities"] if pair["kernels"] == "reference"]
    assert exact and all(pair["equal"] == pair["outputs"] > 0 for pair in exact)


def test_flips_are_the_pictures_on_which_file_and_network_differ(
    report: dict[str, Any], small_run: Path, small_bundle: Path, small_data: Path
) -> None:
    from edgetl.runtime.bundle import open_bundle
    from edgetl.runtime.interpreters import open_named
    from edgetl.runtime.picture import read_picture
    from edgetl.runtime.preprocess import preprocess
    from edgetl.trainer.judge import float_logits

    run = read_run(small_run)
    network = float_logits(run)
    with open_bundle(small_bundle) as bundle:
        model, how, labels = open_named(bundle, "litert"), bundle.manifest.preprocessing, bundle.manifest.rule.labels
    expected = {}
    for record in (s for s in run.splits if s.split == "test"):
        image = preprocess(read_picture(small_data / record.path), how)
        before, after = (labels[int(logits(image).argmax())] for logits in (network, model.logits))
        if before != after:
            expected[record.path] = (before, after)
    (row,) = [r for r in report["rows"] if r["ships"] and r["interpreter"] == "litert" and r["machine"] == "here"]
    flips = {f["picture"]: (f["float_said"]["label"], f["said"]["label"]) for f in row["comparison"]["flips"]}
    assert flips == expected


class Outside(HTMLParser):
    """Collects whatever a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes scripts, and addresses that are not data of the page itself."""
        if tag in ("script", "link", "iframe", "object"):
            self.found.append(tag)
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset") and v and not v.startswith("data:")]


def test_page_needs_nothing_from_elsewhere_and_shows_every_changed_picture(made: Path, report: dict[str, Any]) -> None:
    page = (made / "parity.html").read_text()
    reader = Outside()
    reader.feed(page)
    assert reader.found == [] and "url(" not in page and "@import" not in page
    changed = {f["picture"] for r in report["rows"] if r["ships"] for f in r["comparison"]["flips"]}
    assert set(re.findall(r'alt="([^"]+)"', page)) == changed
    assert page.count('src="data:image/jpeg;base64,') == len(changed)


def test_names_cannot_become_markup(made: Path, small_data: Path) -> None:
    report = msgspec.json.decode((made / "parity.json").read_bytes(), type=Report)
    evil = "<script>alert(1)</script>"
    page = write_page(msgspec.structs.replace(report, name=evil, labels=(evil, *report.labels[1:])), small_data)
    assert "<script>" not in page and "&lt;script&gt;" in page


@pytest.mark.slow
def test_more_flips_than_allowed_fail_after_the_report_is_written(sure: Sure, tmp_path: Path) -> None:
    """The planted defect: red and blue change places in the first convolution's weights. What is not damaged passes."""
    words = ("parity", sure.run, "--split", "test", "--out", tmp_path / "out")
    sound = call(*words, sure.bundle)
    assert sound.code == 0, sound
    assert "PASSED" in (tmp_path / "out" / "parity.html").read_text()
    answer = call(*words, tiny.rewritten(sure.bundle, tmp_path / "swapped.edgetl", swapped))
    refused(
        answer,
        1,
        "E_PARITY",
        "model/int8.tflite in litert (here)",
        "labels differ from the network's, more than --max-flips 2",
    )
    assert "FAILED" in (tmp_path / "out" / "parity.html").read_text()
    failures = json.loads((tmp_path / "out" / "parity.json").read_text())["failures"]
    assert failures and not any("onnx" in line for line in failures), "only the damaged file is blamed"


# A second TFLite library whose kernels are one step off: LiteRT itself, under the other name.
OFF_BY_ONE = """
from ai_edge_litert.interpreter import Interpreter as Sound, OpResolverType, load_delegate

class Interpreter(Sound):
    def get_tensor(self, index):
        return super().get_tensor(index) + 1
"""


@pytest.mark.slow
def test_export_with_a_report_fails_where_the_report_does_and_the_bundle_stays(sure: Sure, tmp_path: Path) -> None:
    """Reference kernels of two libraries that differ."""
    other, known = tmp_path / "other", tmp_path / "other" / "tflite_runtime-9.9.dist-info"
    known.mkdir(parents=True)
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: tflite-runtime\nVersion: 9.9\n")
    (other / "tflite_runtime").mkdir()
    (other / "tflite_runtime" / "__init__.py").write_text("")
    (other / "tflite_runtime" / "interpreter.py").write_text(OFF_BY_ONE)
    words = ("export", sure.run, "--rung", "mse", *through(CONVERTER, "none", sure.earlier))
    sound = call(*words, "--out", tmp_path / "a.edgetl", "--report", tmp_path / "sound")
    assert sound.code == 0, sound
    report = json.loads((tmp_path / "sound" / "parity.json").read_text())
    assert report["max_flips"] == 2.0 and not report["failures"]
    assert any("tflite-runtime is not installed, so it was not asked" in note for note in report["notes"])
    done = edgetl(*words, "--out", tmp_path / "b.edgetl", "--report", tmp_path / "off",
                  env={**os.environ, "PYTHONPATH": str(other)})  # fmt: skip
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edgetl: E_PARITY: ") and "b.edgetl was written, but" in last
    assert "reference kernels" in last and "tflite-runtime, here" in last
    assert "rung mse" in done.stdout and (tmp_path / "b.edgetl").is_file()


def pair(kernels: str, **changes: int) -> Equality:
    """One model in two places, 100 pictures, equal to the bit but for the changes."""
    return Equality(**{
        "model": "model/int8.tflite", "kernels": kernels, "first": "litert, here", "second": "litert, line1", "pictures": 100,
        "outputs": 300, "equal": 300, "max_step": 0.0, "decisions_differ": 0, **changes,
    })  # fmt: skip


def test_places_that_decide_apart_fail_beyond_the_limit_and_rounding_apart_does_not() -> None:
    said = row("model/int8.tflite", "fast", "litert")
    assert list(_failures((said,), (pair("fast", equal=10), pair("fast", decisions_differ=2)), 2.0)) == []
    (line,) = _failures((said,), (pair("fast", decisions_differ=3),), 2.0)
    assert line == (
        "model/int8.tflite, fast kernels: 3 of 100 decisions differ between litert, here and litert, line1, more than "
        "--max-flips 2"
    )
    (line,) = _failures((said,), (pair("reference", equal=299),), 2.0)
    assert "1 of 300 outputs differ" in line


def test_reference_kernels_that_give_other_labels_fail_though_they_do_not_ship() -> None:
    said = row("model/int8.tflite", "fast", "litert"), row("model/int8.tflite", "reference", "litert", flips=10)
    (line,) = _failures(said, (), 2.0)
    assert line.startswith("model/int8.tflite in litert (here, reference kernels): 100.0 % of the labels differ")


def row(model: str, kernels: str, interpreter: str = "onnxruntime", flips: int = 0, took: float = 2.0) -> Row:
    """A row of ten pictures, so many of which have another label."""
    rule = DecisionRule(("a", "b"), ("a",))
    before = np.tile(np.float32([1, 0]), (10, 1))
    after = before.copy()
    after[:flips] = [0, 1]
    names = [f"{i}.jpg" for i in range(10)]
    return Row(
        model=model, interpreter=interpreter, version="1", kernels=kernels, machine="here",
        ships=kernels == "fast" and "signed" not in model, median_ms=took,
        comparison=compare(before, after, names, ["a"] * 10, rule),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "saturates"), [(("avx2",), True), (("avx2", "avx512_vnni"), False), (("avx_vnni",), False)]
)
def test_note_says_where_sums_saturate_and_what_signed_activations_cost(
    flags: tuple[str, ...], saturates: bool
) -> None:
    rows = (
        row("model/int8.onnx", "fast"), row("model/int8.onnx", "default", flips=3),
        row("model/int8.onnx, signed", "fast", took=5.0), row("model/int8.tflite", "fast", "litert"),
    )  # fmt: skip
    machine = Machine(architecture="x86_64", processor="some", int8=flags, python="3", edgetl="0")
    notes = list(_notes(rows, {"here": machine}))
    told = [n for n in notes if "has no VNNI instructions" in n]
    assert bool(told) == saturates
    assert not told or "3 labels change there, 0 with the exact sums" in told[0]
    assert any("take 2.5 times as long here as the unsigned ones that ship (5.0 and 2.0 ms" in n for n in notes)


def test_without_an_answer_of_what_ships_nothing_passes() -> None:
    assert list(_failures((), (), 2.0)) == [
        "no model that ships was asked: the bundle holds none that a library here can read"
    ]


def swapped(name: str, data: bytes) -> bytes | None:
    """The int8 TFLite with the first convolution's weights in another order of channels; without its old proof."""
    if name == "proof.json":
        return None
    if name != "model/int8.tflite":
        return data
    from ai_edge_litert import schema_py_generated as schema

    from edgetl.runtime.graphs import read_tflite

    graph = read_tflite(data, name)
    conv = next(o for o in graph.operators if o.kind == "CONV_2D")
    tensor = schema.Model.GetRootAs(data).Subgraphs(0).Tensors(conv.inputs[1])
    buffer = schema.Model.GetRootAs(data).Buffers(tensor.Buffer())
    start = buffer._tab.Vector(buffer._tab.Offset(4))
    weights = buffer.DataAsNumpy().reshape(graph.tensors[conv.inputs[1]].shape)
    changed = weights[..., ::-1].tobytes()
    return data[:start] + changed + data[start + len(changed) :]


def test_another_run_is_refused(small_run: Path, tmp_path: Path) -> None:
    other = tiny.write(tmp_path / "plain.edgetl")
    answer = call("parity", small_run, other, "--out", tmp_path)
    refused(answer, 1, "E_EXPORT", "not the run that this bundle came from")


def test_pictures_that_are_no_longer_the_runs_are_refused(
    small_run: Path, small_bundle: Path, small_data: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    one, other = [s.path for s in read_run(small_run).splits if s.split == "test"][:2]
    shutil.copy(data / one, data / other)
    answer = call("parity", small_run, small_bundle, "--data", data, "--out", tmp_path / "report")
    refused(answer, 1, "E_EXPORT", f"{data / other}: was changed since the training run", "--data")


@pytest.mark.parametrize("limit", ["nan", "-1", "101"])
def test_limit_that_is_none_is_refused(small_run: Path, small_bundle: Path, tmp_path: Path, limit: str) -> None:
    answer = call("parity", small_run, small_bundle, "--out", tmp_path / "report", "--max-flips", limit)
    refused(answer, 2, "E_USAGE", "max-flips")


def test_run_that_was_trained_anew_is_refused(small_run: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Same folder, same classes, same pictures, other weights: every comparison with these would be of two nets."""
    again = tmp_path / "run"
    shutil.copytree(small_run, again)
    record = json.loads((again / "metrics.json").read_text())
    (again / "metrics.json").write_text(json.dumps(record | {"created": "2026-01-01T00:00:00Z"}))
    answer = call("parity", again, small_bundle, "--out", tmp_path)
    refused(answer, 1, "E_EXPORT", "not the run that this bundle came from (another time of training)")


@pytest.mark.parametrize(
    ("also", "code", "kind", "words"),
    [
        ("nothing", 2, "E_USAGE", "expected NAME=COMMAND"),
        ("pi=/no/such/python", 1, "E_EXPORT", "--also pi: "),
        ("pi=sh -c 'echo no route to host >&2; exit 255'", 1, "E_EXPORT", "--also pi: exit code 255: no route to host"),
        ("pi=echo", 1, "E_EXPORT", "its answer cannot be read"),
    ],
)
def test_place_that_cannot_be_asked(
    small_run: Path, small_bundle: Path, tmp_path: Path, also: str, code: int, kind: str, words: str
) -> None:
    answer = call("parity", small_run, small_bundle, "--out", tmp_path / "out", "--split", "val", "--also", also)
    refused(answer, code, kind, words)


@pytest.mark.emulated
@pytest.mark.slow
@pytest.mark.timeout(1200)  # the first run builds the device
@pytest.mark.fault("M9")
def test_arm64_answers_to_the_bit_in_reference_kernels_and_alike_in_fast_ones(
    arm64: ChrootDevice, small_run: Path, small_bundle: Path, tmp_path: Path
) -> None:
    runner = arm64.runner(tmp_path / "arm64")
    done = subprocess.run(
        [sys.executable, "-m", "edgetl", "parity", str(small_run), str(small_bundle), "--out", str(tmp_path / "out"),
         "--split", "test", "--also", f"arm64={runner}", "--max-flips", "100", "--json"],
        capture_output=True, text=True, cwd=ROOT, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machines"]["arm64"]["architecture"] == "aarch64"
    pairs = [p for p in report["equalities"] if "arm64" in p["first"] + p["second"]]
    exact, fast = ([p for p in pairs if p["kernels"] == k] for k in ("reference", "fast"))
    assert exact and all(p["equal"] == p["outputs"] > 0 for p in exact), exact
    assert fast and all(p["decisions_differ"] == 0 for p in fast), fast
