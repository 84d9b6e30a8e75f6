"""`edgetl bench`: what is measured, in which shape it is told; how fast it is, is no test's business."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgetl.benchmarks.latency import FULL, QUICK, Effort, Report, bench, machine, thread_counts
from edgetl.errors import ModelError
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.line import percentiles
from tests.cli.calling import call, refused
from tests.conftest import edgetl
from tests.runtime import tiny

FIGURES = ("p50_ms", "p90_ms", "p99_ms", "max_ms")
MOMENT = Effort(warm_up_runs=2, warm_up_s=0.0, runs=12, seconds=0.0, most_seconds=5.0)


@pytest.fixture(scope="module")
def report(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    """The real command's quick report, its copy in a file, and what it said meanwhile."""
    out = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    done = edgetl("bench", small_bundle, "--quick", "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return json.loads(done.stdout), out, done.stderr


def in_order(figures: dict[str, float]) -> bool:
    values = [figures[name] for name in FIGURES]
    return values == sorted(values) and values[0] > 0


@pytest.mark.slow
def test_report_has_its_shape(report: tuple[dict[str, Any], Path, str]) -> None:
    found, _, said = report
    assert in_order(found["end_to_end"])
    assert set(found["stages"]) == {"preprocess", "inference", "decision", "output"}
    assert all(in_order(figures) for figures in found["stages"].values())
    for row in found["sweep"]:
        assert in_order(row) and row["runs"] >= 20 and row["load_ms"] > 0 and row["first_ms"] > 0
    assert found["quick"] is True
    assert found["machine"]["processor"] and found["machine"]["edgetl"]
    assert said.count("with 1 thread\n") == sum(row["threads"] == 1 for row in found["sweep"])


@pytest.mark.slow
def test_every_model_interpreter_and_number_of_threads_is_swept(report: tuple[dict[str, Any], Path, str]) -> None:
    rows = {(row["interpreter"], row["precision"], row["threads"], row["model"]) for row in report[0]["sweep"]}
    for threads in thread_counts():
        assert ("litert", "int8", threads, "model/int8.tflite") in rows
        assert ("litert", "float32", threads, "model/float32.tflite") in rows
        assert ("onnxruntime", "int8", threads, "model/int8.onnx") in rows
    assert len(rows) == len(report[0]["sweep"])


@pytest.mark.slow
def test_stages_are_of_the_fastest_int8_row_and_make_up_the_whole(report: tuple[dict[str, Any], Path, str]) -> None:
    found = report[0]
    best = min((row for row in found["sweep"] if row["precision"] == "int8"), key=lambda row: row["p50_ms"])
    assert found["chosen"] == f"{best['model']} in {best['interpreter']}, {best['threads']} threads"
    parts = sum(figures["p50_ms"] for figures in found["stages"].values())
    assert parts == pytest.approx(found["end_to_end"]["p50_ms"], rel=0.3)
    floats = [
        row["p50_ms"]
        for row in found["sweep"]
        if row["precision"] == "float32" and row["interpreter"] == best["interpreter"]
    ]
    assert found["int8_speedup"] == (pytest.approx(min(floats) / best["p50_ms"], abs=1e-3) if floats else None)


@pytest.mark.slow
def test_file_holds_the_report_too(report: tuple[dict[str, Any], Path, str]) -> None:
    assert json.loads(report[1].read_text()) == report[0]


def benched(path: Path, effort: Effort = MOMENT) -> tuple[Report, list[str]]:
    said: list[str] = []
    with open_bundle(path) as bundle:
        return bench(bundle, effort, said.append), said


def test_bundle_of_one_model(tmp_path: Path) -> None:
    found, said = benched(tiny.write(tmp_path / "plain.edgetl"))
    assert {row.interpreter for row in found.sweep} >= {"litert"}
    assert all(row.runs == 12 for row in found.sweep)
    assert found.int8_speedup is None  # nothing to compare with
    assert found.quick  # whatever is less than the full effort
    assert len(said) == len(found.sweep) + 1


def test_bundle_without_an_int8_model_is_refused(tmp_path: Path) -> None:
    files = tiny.content()
    files["model/float32.tflite"] = tiny.tflite(dtype="float32", step=None)
    models = [{"path": "model/float32.tflite", "format": "tflite", "precision": "float32"}]
    path = tiny.write(tmp_path / "float.edgetl", files, manifest=tiny.manifest_of(files, models=models))
    with pytest.raises(ModelError, match="no int8 model"):
        benched(path)


def test_effort_is_both_runs_and_time() -> None:
    assert FULL.seconds == 60 and FULL.runs >= 1000  # what a published figure takes
    assert QUICK != FULL and QUICK.seconds < 2


def test_at_least_the_asked_time_is_measured(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "plain.edgetl")
    longer = Effort(warm_up_runs=2, warm_up_s=0.0, runs=3, seconds=0.15, most_seconds=5.0)
    found, _ = benched(path, longer)
    for row in found.sweep:
        assert row.runs > 3  # a mean of colours takes microseconds
    cut, _ = benched(path, Effort(warm_up_runs=2, warm_up_s=0.0, runs=10**9, seconds=0.0, most_seconds=0.1))
    assert all(row.runs < 10**9 for row in cut.sweep)


def test_threads_stay_within_the_cores_of_this_process() -> None:
    cores = len(os.sched_getaffinity(0))
    counts = thread_counts()
    assert counts[0] == 1 and max(counts) <= cores and counts == sorted(set(counts))
    first = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {first})
    try:
        assert thread_counts() == [1]
    finally:
        os.sched_setaffinity(0, before)


def test_machine_is_described() -> None:
    found = machine()
    assert found["architecture"] == os.uname().machine
    assert all(found.values())


def test_percentiles_of_known_values() -> None:
    assert percentiles([float(n) for n in range(1, 1002)]) == {
        "p50_ms": 501.0,
        "p90_ms": 901.0,
        "p99_ms": 991.0,
        "max_ms": 1001.0,
    }
    assert percentiles([7.0]) == dict.fromkeys(FIGURES, 7.0)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    refused(call("bench", tmp_path / "none.edgetl", "--quick"), 2, "E_USAGE", "no such bundle")
    (tmp_path / "junk.edgetl").write_bytes(b"junk")
    refused(call("bench", tmp_path / "junk.edgetl", "--quick"), 1, "E_FORMAT", "not a bundle")
