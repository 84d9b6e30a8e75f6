"""`edgetl bench`: what is measured, in which shape it is told; how fast it is, is no test's business."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgetl.benchmarks.latency import Wanted, bench
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.report import Report, keep, packed
from edgetl.benchmarks.sweep import thread_counts
from edgetl.benchmarks.timing import FULL, QUICK, Effort
from edgetl.errors import ModelError
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.status import percentiles
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
    assert len(done.stdout.splitlines()) == 1, done.stderr
    found = json.loads(done.stdout)
    # What the machine was like is not ours to say; that an INVALID report ends with 1 is.
    assert done.returncode == (0 if found["judgement"]["result"] == "PASS (speed only)" else 1), done.stderr
    return found, out, done.stderr


def in_order(figures: dict[str, float]) -> bool:
    values = [figures[name] for name in FIGURES]
    return values == sorted(values) and values[0] > 0


@pytest.mark.slow
def test_report_has_its_shape(report: tuple[dict[str, Any], Path, str]) -> None:
    found, _, said = report
    assert in_order(found["end_to_end"])
    assert set(found["stages"]) == {"capture", "preprocess", "inference", "decision", "output"}
    assert all(in_order(figures) for figures in found["stages"].values())
    for row in found["sweep"]:
        assert in_order(row) and row["runs"] >= 20 and row["load_ms"] > 0 and row["first_ms"] > 0
    assert found["quick"] is True
    assert found["machine"]["processor"] and found["machine"]["edgetl"]
    assert said.count("with 1 thread\n") == sum(row["threads"] == 1 for row in found["sweep"])


@pytest.mark.slow
def test_start_accuracy_and_judgement_stand_in_the_same_report(report: tuple[dict[str, Any], Path, str]) -> None:
    found = report[0]
    assert all(one["process_ms"] >= one["import_ms"] + one["load_ms"] > 0 for one in found["cold"]["all"])
    assert found["cold"]["processes"] == len(found["cold"]["all"]) == 5
    assert found["accuracy"]["golden_pictures"] > 0 and found["accuracy"]["golden_flips"] == 0
    assert found["judgement"]["result"] in ("PASS (speed only)", "INVALID")
    assert found["judgement"]["reasons"]


@pytest.mark.slow
def test_every_latency_stands_beside_what_the_machine_could_do(report: tuple[dict[str, Any], Path, str]) -> None:
    found = report[0]
    peaks = {peak["threads"]: peak for peak in found["peaks"]}
    assert set(peaks) == set(thread_counts())
    for row in found["sweep"]:
        least, peak = row["ceiling"]["ms"], peaks[row["threads"]]
        assert row["roofline"] == pytest.approx(least / row["p50_ms"], rel=1e-3, abs=1e-4)  # four digits are kept
        rate = peak["int8_gmac_s"] if row["precision"] == "int8" else peak["float32_gmac_s"]
        assert least >= 0.99 * max(row["ceiling"]["gmac"] / rate, row["ceiling"]["moved_mb"] / 1e3 / 1e3) * 1e3 * 0.001
        assert row["ceiling"]["gmac"] == pytest.approx(0.0078, abs=2e-4)  # a MobileNetV2 of half the width at 64 px


@pytest.mark.slow
def test_every_timing_is_kept_and_gives_the_report_s_figures(report: tuple[dict[str, Any], Path, str]) -> None:
    found, out, _ = report
    with np.load(out.with_name(found["samples"])) as samples:
        series = {f"{r['precision']} in {r['interpreter']}, threads {r['threads']}": r for r in found["sweep"]}
        assert set(samples.files) == {*found["stages"], "end_to_end", *series}
        for name, row in series.items():
            assert len(samples[name]) == row["runs"]
            assert np.median(samples[name]) == pytest.approx(row["p50_ms"], rel=1e-2)
        for name, figures in {**found["stages"], "end_to_end": found["end_to_end"]}.items():
            assert percentiles(samples[name].tolist()) == pytest.approx(figures, rel=1e-2, abs=1e-3)


def as_on_a_quiet_machine(report: Path, path: Path, times: float, **changed: Any) -> Path:
    """The report with timings that are spread little: a busy machine's own may be too far apart for any claim."""
    random = np.random.default_rng(0)
    with np.load(report.with_suffix(".npz")) as samples:
        spread = {name: samples[name].size for name in samples.files}
        middle = {name: np.median(samples[name]) for name in samples.files}
    timings = {name: (times * middle[name] * random.normal(1, 0.02, size)).tolist() for name, size in spread.items()}
    keep(
        msgspec.structs.replace(msgspec.json.decode(report.read_bytes(), type=Report), **changed), packed(timings), path
    )
    return path


@pytest.mark.slow
def test_reports_are_compared_by_their_timings(report: tuple[dict[str, Any], Path, str], tmp_path: Path) -> None:
    _, out, _ = report
    one = as_on_a_quiet_machine(out, tmp_path / "one.json", 1)
    slower = as_on_a_quiet_machine(
        out, tmp_path / "slower.json", 4, bundle_sha256="cd" * 32, machine={"processor": "other"}
    )
    same = json.loads(call("bench", "compare", one, one, "--json").out)
    assert not any(stage["differ"] for stage in same["series"].values())
    assert [w for w in same["warnings"] if "INVALID" not in w] == []
    other = json.loads(call("bench", "compare", one, slower, "--json").out)
    assert all(stage["ratio"] == pytest.approx(4, rel=0.01) for stage in other["series"].values())
    assert all(stage["differ"] for stage in other["series"].values())
    said = "; ".join(other["warnings"])
    assert "the bundles are not the same" in said and "the machines are not the same: processor" in said
    refused(call("bench", "compare", one, tmp_path / "none.json"), 2, "E_USAGE", "none.json")


@pytest.mark.slow
def test_file_is_judged_by_labelled_pictures_too(small_bundle: Path, small_data: Path) -> None:
    done = call("bench", small_bundle, "--quick", "--data", small_data, "--budget-ms", 0.001, "--json")
    found = json.loads(done.out)
    assert found["accuracy"]["pictures"] == 20
    evaluated = json.loads(call("evaluate", small_bundle, "--data", small_data, "--split", "test", "--json").out)
    if "litert" in found["chosen"]:
        assert found["accuracy"]["balanced_accuracy"] == pytest.approx(evaluated["balanced_accuracy"], abs=0.11)
    judgement = found["judgement"]
    assert judgement["result"] in ("FAIL", "INVALID")
    assert done.code == 1


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
    with np.load(report[1].with_suffix(".npz")) as samples:  # frame by frame; medians of a busy machine do not add up
        parts = sum(samples[name] for name in found["stages"])
        assert parts == pytest.approx(samples["end_to_end"], rel=1e-3)
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
        return bench(bundle, Wanted(effort), said.append)[0], said


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
    assert all(row.runs < 10**9 and row.cut for row in cut.sweep)
    assert sum("p99 rests on few" in note for note in cut.notes) == len(cut.sweep)
    assert not any(row.cut for row in found.sweep)


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
