"""`edgetl tune`: what wins, what may never win, and what is written where."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgetl.benchmarks.notes import notes_on
from edgetl.benchmarks.tuning.candidates import Candidate, absent, candidates
from edgetl.benchmarks.tuning.choosing import best, notes
from edgetl.benchmarks.tuning.device_file import edited, fix
from edgetl.benchmarks.tuning.measuring import ROUNDS, Timed
from edgetl.errors import EdgetlError, UsageError
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.device_config import read_config
from edgetl.runtime.golden import GoldenSet
from edgetl.runtime.manifest import GOLDEN_NAME
from tests.cli.calling import call, refused
from tests.runtime import tiny


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "tiny.edgetl")


def row(ms: float, name: str = "litert", threads: int = 1, flips: int = 0, noise: float = 0.01) -> Timed:
    """A candidate whose turns alternate about `ms`."""
    rounds = tuple(ms * (1 + noise * (-1) ** i) for i in range(ROUNDS))
    return Timed(candidate=Candidate(name, "int8", threads, True), rounds_ms=rounds, flips=flips)


def plain(ms: float) -> Timed:
    found = row(ms)
    return msgspec.structs.replace(found, candidate=Candidate("litert", "float32", 1, False), flips=None)


def test_fastest_that_decides_as_at_export_wins() -> None:
    rows = [row(3.0), row(2.0, "onnxruntime", flips=1), row(2.5, "tflite-runtime")]
    found = best(rows, cores=1)
    assert found is rows[2]
    assert any("onnxruntime" in note and "never chosen" in note for note in notes(rows, rows[2], {"architecture": "x"}))


def test_nothing_wins_where_every_verdict_changed() -> None:
    assert best([row(3.0, flips=2), plain(1.0)], cores=1) is None


def test_float_file_is_named_and_not_chosen() -> None:
    rows = [row(3.0), plain(1.0)]
    assert best(rows, cores=1) is rows[0]
    said = notes(rows, rows[0], {"architecture": "x86_64", "int8_instructions": "avx2"})
    assert any("a float file is faster here (1.01 ms)" in note or "(1.00 ms)" in note for note in said)
    assert "int8 is slower than float in litert here" in said
    assert any("lacks VNNI" in note for note in said)


def test_more_threads_must_save_a_fifth_and_leave_a_core() -> None:
    assert best([row(10.0), row(8.5, threads=2)], cores=4).threads == 1  # type: ignore[union-attr]
    assert best([row(10.0), row(6.0, threads=2)], cores=4).threads == 2  # type: ignore[union-attr]
    assert best([row(10.0), row(5.0, threads=2)], cores=2).threads == 1  # type: ignore[union-attr]


def test_of_two_that_noise_cannot_tell_apart_the_first_stays() -> None:
    rounds = [tuple(3.0 + 0.5 * ((i * k) % 7 - 3) for i in range(ROUNDS)) for k in (3, 5)]
    first = msgspec.structs.replace(row(3.0), rounds_ms=rounds[0])
    second = msgspec.structs.replace(row(3.0, "onnxruntime"), rounds_ms=tuple(ms * 0.999 for ms in rounds[1]))
    assert best([first, second], cores=1) is first


def test_one_that_was_let_go_early_cannot_stay() -> None:
    slow = msgspec.structs.replace(row(59.0), rounds_ms=(59.0,) * 6)
    assert best([slow, row(3.0, "onnxruntime")], cores=1).interpreter == "onnxruntime"  # type: ignore[union-attr]


def test_candidates_are_what_the_bundle_holds_for_what_is_installed(tiny_bundle: Path) -> None:
    with open_bundle(tiny_bundle) as bundle:
        found = candidates(bundle, ("litert", "onnxruntime"))
    assert {(c.interpreter, c.precision, c.ships) for c in found} == {("litert", "int8", True)}  # it holds no ONNX file
    missing = absent(("litert",))
    assert missing["onnxruntime"].startswith("not installed; pip install 'edgetl[")
    assert {"TensorRT", "CUDA", "Coral"} <= set(missing)


def test_ways_to_run_onnxruntime_are_candidates_of_their_own_and_the_settings_lead_back_to_the_winner(
    tmp_path: Path,
) -> None:
    files = {**tiny.content(), "model/int8.onnx": tiny.onnx(), "model/float16.onnx": tiny.onnx()}
    models = [
        {"path": f"model/{precision}.onnx", "format": "onnx", "precision": precision}
        for precision in ("int8", "float16")
    ]
    path = tiny.write(tmp_path / "two.edgetl", files, manifest=tiny.manifest_of(files, models=models))
    with open_bundle(path) as bundle:
        found = candidates(bundle, ("onnxruntime", "onnxruntime-cpu", "onnxruntime-cuda"))
    assert {c.interpreter for c in found} == {"onnxruntime", "onnxruntime-cpu", "onnxruntime-cuda"}
    assert {c.threads for c in found if c.interpreter == "onnxruntime-cuda"} == {1}
    # A line opens the first file that ships: the second may be faster, and no setting would lead to it.
    assert {(c.precision, c.ships) for c in found} == {("int8", True), ("float16", False)}
    for name in ("onnxruntime-cpu", "onnxruntime-cuda"):
        config = tmp_path / f"{name}.yaml"
        config.write_text("architecture: aarch64\n")
        assert fix(config, name, 1) and read_config(str(config)).interpreter == name


@pytest.mark.parametrize(
    ("architecture", "instructions", "said"),
    [
        ("x86_64", "avx2", "lacks VNNI"),
        ("x86_64", "avx2 avx512_vnni", ""),
        ("x86_64", "avx2 avx_vnni", ""),
        ("aarch64", "none known", "lacks dot-product"),
        ("aarch64", "asimddp", ""),
    ],
)
def test_processor_without_products_of_int8_is_told(architecture: str, instructions: str, said: str) -> None:
    found = notes_on([row(3.0)], {"architecture": architecture, "int8_instructions": instructions})
    assert (said in " ".join(found)) if said else found == []


@pytest.mark.parametrize(("two", "told"), [(9.5, True), (9.01, True), (8.9, False), (5.0, False)])
def test_threads_that_hardly_help_are_told(two: float, told: bool) -> None:
    rows = [row(10.0), row(two, threads=2), row(20.0, "onnxruntime"), row(11.0, "onnxruntime", threads=2)]
    found = notes_on(rows, {"architecture": "x86_64", "int8_instructions": "avx_vnni"})
    assert found == (["2 threads are hardly faster than one in litert"] if told else [])


DEVICE = """# cell 3
architecture: x86_64
threads: 3 # one core is left
budget:
  threads: 9
  latency_ms: 40
"""


def test_settings_are_changed_and_comments_stay() -> None:
    assert edited("a: 1\nthreads: 3 # why\n", "threads", "2") == "a: 1\nthreads: 2 # why\n"
    assert edited("threads: null\n", "threads", "2") == "threads: 2\n"
    assert edited("a: {threads: 1}\n", "threads", "2") == "a: {threads: 1}\nthreads: 2\n"


def test_device_file_is_kept_and_changed_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = DEVICE.replace("  threads: 9\n", "")
    path.write_text(text)
    assert fix(path, "onnxruntime", 2) is True
    assert path.read_text() == text.replace("threads: 3", "threads: 2") + "interpreter: onnxruntime\n"
    assert (tmp_path / "config.yaml.previous").read_text() == text
    found = read_config(str(path))
    assert (found.interpreter, found.threads, found.budget.latency_ms) == ("onnxruntime", 2, 40)
    assert fix(path, "onnxruntime", 2) is False


def test_file_in_another_form_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{architecture: x86_64, threads: 1}\n")
    with pytest.raises(EdgetlError, match="write interpreter: litert and threads: 2 into it"):
        fix(path, "litert", 2)
    assert path.read_text() == "{architecture: x86_64, threads: 1}\n"
    path.write_text(DEVICE)
    with pytest.raises(UsageError, match=r"config\.yaml:5"):
        fix(path, "litert", 2)


def test_command_measures_chooses_and_writes(tiny_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("architecture: x86_64\n")
    answer = call("tune", tiny_bundle, "--quick", "--config", config, "--write", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["interpreter"] in ("litert", "tflite-runtime")
    assert found["written"] == str(config)
    assert read_config(str(config)).interpreter == found["interpreter"]
    assert all(item["flips"] == 0 and item["median_ms"] > 0 for item in found["rows"])
    assert "best: " in call("tune", tiny_bundle, "--quick").out


def test_command_refuses_where_no_verdict_is_as_it_was(tiny_bundle: Path, tmp_path: Path) -> None:
    files = tiny.content()
    golden = msgspec.json.decode(files[GOLDEN_NAME], type=GoldenSet)
    other = {"model/int8.tflite": msgspec.structs.replace(golden.pictures[0].models["model/int8.tflite"], label="blue")}
    files[GOLDEN_NAME] = msgspec.json.encode(
        GoldenSet((msgspec.structs.replace(golden.pictures[0], models=other), *golden.pictures[1:]))
    )
    tiny.write(tmp_path / "odd.edgetl", files)
    refused(call("tune", tmp_path / "odd.edgetl", "--quick"), 1, "E_HEALTH", "gave at export")


def test_wrong_use_is_told_before_anything_is_measured(tiny_bundle: Path, tmp_path: Path) -> None:
    refused(call("tune", tiny_bundle, "--write"), 2, "E_USAGE", "--config FILE")
    (tmp_path / "bad.yaml").write_text("architecture: x86_64\nthreads: many\n")
    refused(call("tune", tiny_bundle, "--config", tmp_path / "bad.yaml"), 2, "E_USAGE", "bad.yaml:2")
