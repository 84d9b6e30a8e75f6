"""A result is kept with how it came about, and the document says what the results say."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetl.benchmarks.document import write_document
from edgetl.benchmarks.document.writing import SECTIONS
from edgetl.benchmarks.record import PIECES, RESULTS, Piece, Result, measure, read_results
from edgetl.errors import EdgetlError, UsageError
from tests.benchmarks.reports import MACHINE, report
from tests.runtime import tiny

pytest.importorskip("matplotlib", reason="the document's plots need it")

ROW = {**msgspec.to_builtins(report().sweep[0]), "backbone": "mobilenet_v2"}
POINTS = [{"size": n, "seconds": 0.1 * n, "peak_mb": 100.0} for n in (1, 2, 4)]
RATIO = {"bare_ms": 2.5, "edgetl_ms": 2.51, "ratio": 1.0041, "low": 1.001, "high": 1.007}
SPEED = {"int8_ms": 3.0, "float_ms": 6.0, "times_faster": 2.0, "low": 1.9, "high": 2.1, "rounds": 30}
RATIOS = {"wall": RATIO, "processor": RATIO}
FOUND: dict[str, Any] = {
    "roofline": {
        "imgsz": 224, "rows": [ROW, {"backbone": "vit_tiny", "error": "does not fit"}], "peaks": [],
        "explained": {"mobilenet_v2": [{"kind": "DEPTHWISE_CONV_2D", "count": 17, "ms": 1.5, "share": 0.6, "roofline": 0.05}]},
    },
    "interpreter": {"bundles": [{"bundle": "a.edgetl", "turns": 2400, "raw": RATIOS, "logits": RATIOS}]},
    "repeatability": {
        "quick": True, "pairs_within_3_percent": 0.5,
        "pairs": [{"results": ["PASS", "INVALID"], "end_to_end_ratio": 1.07, "inference_ratios": {"int8 in litert": 0.98},
                   "said_different": ["output"]}],
        "with_itself": {name: {"trials": 40, "said_different": 2, "farthest_ratio": 0.004} for name in ("one_copy", "two_copies")},
    },
    "int8-speed": {"litert, by threads": {"1": SPEED}},
    "int8-verdicts": {"rows": [{
        "set": "screws", "model": "mobilenet_v2", "recipe": "probe", "way": "ships", "rung": "mse", "n": 120, "float": 99.0, "litert": SPEED,
        "files": {"model/int8.tflite": {"balanced_accuracy": 98.8, "lost": 0.2, "same_decisions": 99.5, "not_in_int8": 0}},
    }]},
    "int8-backbones": {"imgsz": 96, "data": "screws", "rows": [
        {"run": "vit_tiny", "rung": "mixed", "error": "no such layer"},
        {"run": "resnet18", "rung": "mse", "export_s": 61.0, "model_bytes": {"model/int8.onnx": 11e6, "model/float32.tflite": 44e6},
         "p50_ms": {"model/int8.onnx in onnxruntime": 3.0, "model/float32.tflite in litert": 6.0},
         "models": {"model/int8.onnx": {"val": None, "test": {"float": 90.0, "balanced_accuracy": 89.5, "lost": 0.5, "same_decisions": 98.0}}}},
    ]},
    "imagenet": {"pictures": 384, "rows": [{"rung": "mse", "export_s": 90.0, "files": {"model/int8.onnx": {
        "same": {"all": {"n": 384, "percent": 91.4, "low": 88.2, "high": 93.8}, "photos": {"n": 144, "percent": 93.1}},
        "correlation": 0.98765}}}]},
    "recipes": {"imgsz": 224, "rows": [
        {"case": {"data": "trashnet", "model": "mobilenet_v2", "recipe": recipe, "seed": 0}, "balanced_accuracy": value, "seconds": 300.0,
         "taken": "finetune", "margin": 0.0} for recipe, value in (("auto", 84.0), ("probe", 82.0))]},
    "recipes-elsewhere": {"imgsz": 128, "rows": [
        {"case": {"data": "screws-12", "model": "mobilenet_v2", "recipe": recipe, "seed": 0}, "balanced_accuracy": value, "seconds": 30.0,
         "taken": "probe", "margin": 0.0} for recipe, value in (("auto", 99.0), ("probe", 98.0))]},
    "pretraining-trials": {"steps": 800, "pictures": 12000, "rows": [
        {"name": "random net", "found": {"screws": 60.0, "trashnet": 30.0}, "seconds": 0.0, "losses": {}},
        {"name": "no marks", "found": {"screws": 80.0, "trashnet": 41.0}, "seconds": 300.0, "losses": {"formula": 6.1}}]},
    "pretraining-worth": {"imgsz": 96, "drawn": "b5c5042c8852b0f9", "rows": [
        {"case": {"way": way, "data": "screws", "count": count, "start": start, "seed": seed}, "balanced_accuracy": value + 2 * seed}
        for way in ("probe", "finetune") for count in ("10", "all") for start, value in (("nothing", 50.0), ("drawn", 70.0), ("ImageNet", 90.0))
        for seed in (0, 1)]},
    "demo-training": {"flags": "--imgsz 128", "rates": {"built-in": 0.004}, "rows": [
        {"case": {"start": "built-in", "epochs": 6, "seed": seed}, "balanced_accuracy": 99.0 - seed, "seconds": 30.0} for seed in (0, 1)]},
    "export-peers": {"model": "mobilenet_v2", "imgsz": 224, "classes": 6, "flags": ["--rung", "mse"], "pictures": {"calibration": 81, "test": 240}, "rows": {
        "edgetl export": {"median": {"seconds": 61.0, "peak_mb": 1900.0, "file_bytes": 2.6e6, "float": 83.1, "int8": 83.0}},
        "onnx2tf -oiqt": {"failed": "onnx2tf ended with exit code 1"},
        "ultralytics export": {"median": {"seconds": 30.0, "peak_mb": 900.0, "file_bytes": 1.6e6, "versions": {"ultralytics": "8.4.1"}}},
    }},
    "training-peers": {"imgsz": 224, "batch": 32, "cores": 1, "rows": {
        "edgetl": {"median": {"balanced_accuracy": 88.0, "seconds": 120.0, "peak_mb": 900.0, "recipe": "finetune"},
                   "rounds": [{"balanced_accuracy": 87.0}, {"balanced_accuracy": 89.0}]},
        "timm": {"median": {"balanced_accuracy": 85.0, "seconds": 120.2, "peak_mb": 950.0, "epochs": 7.0},
                 "rounds": [{"balanced_accuracy": 84.5}, {"balanced_accuracy": 85.5}]},
        "ultralytics": {"absent": "ultralytics: not in the Python that --peer names"},
    }},
    "one-class-peers": {"imgsz": 224, "good": "screw", "share": 0.01, "pictures": {"train": 179, "test": 120}, "rows": {
        "edgetl": {"median": {"auroc": 0.9987, "ms": 9.5, "judge_peak_mb": 120.0, "train_s": 12.0, "train_peak_mb": 800.0,
                              "export_s": 50.0, "export_peak_mb": 1900.0, "artifact_bytes": 12e6}},
        "anomalib PaDiM": {"median": {"auroc": 0.97, "ms": 30.0, "judge_peak_mb": 700.0, "train_s": 25.0, "train_peak_mb": 1500.0,
                                      "artifact_bytes": 60e6}},
    }},
    "growth-line": {"curves": [{"what": "edgetl run", "against": "cameras of a device", "points": POINTS, "exponents": [1.6, 1.0]},
                          {"what": "edgetl train", "against": "pictures", "points": POINTS, "exponents": [1.0, 0.0]}]},
}  # fmt: skip


def result(name: str) -> Result:
    found = msgspec.to_builtins(report()) if name == "latency" else FOUND[name]
    where = {**MACHINE, "libraries": "numpy 2"}
    return Result(name=name, command=f"measure {name}", commit="abc1234", date="2026-01-02", machine=where, load=0.3, priority="real-time",
                  seconds=61.0, found=found)  # fmt: skip


def test_document_says_what_the_results_say(tmp_path: Path) -> None:
    page = write_document({name: result(name) for name in ("latency", *FOUND)}, tmp_path)
    text = page.read_text()
    for said in (
        "| end to end | 12.00 | 13.00 | 15.00 | 20.00 |",
        "| mobilenet_v2 | litert | 300 | 18 | 10.00 | 4.00 | 40% |",
        "vit_tiny: not measured (does not fit)",
        "| DEPTHWISE_CONV_2D | 17 | 1.50 | 60% | 5% |",
        "- DEPTHWISE_CONV_2D: each value serves",
        "| a.edgetl | 2400 | raw | of the processor | 2.500 | 2.510 | 1.0041 | 1.0010 to 1.0070 |",
        "50% of the pairs agree within 3 %",
        "Worse than linear: edgetl run against cameras of a device. More processes than cores",
        "`measure growth-line` in 61 s; 2 cores of Sample Processor (avx2), load 0.3 before, at real-time priority; numpy 2; commit abc1234, 2026-01-02.",
        "| 1 | 3.00 | 6.00 | 2.00 | 1.90 to 2.10 |",
        "| screws (120) | mobilenet_v2 | probe | ships, mse | model/int8.tflite | 99.00 | 98.80 | +0.20 | 99.50 | 0 | 2.00 |",
        "| vit_tiny | mixed | no such layer |",
        "| resnet18 | mse | model/int8.onnx | 90.00 | 89.50 | +0.50 | 98.00 | 11.00 (44.00) | 3.00 (6.00) | 61 |",
        "| mse | model/int8.onnx | 91.4 | 88.2 to 93.8 | photos 93.1 of 144 | 0.9877 | 90 |",
        "| trashnet | mobilenet_v2 | 1 | 84.0 | 82.0 | +2.0 | +2.0 |",
        "| screws-12 | mobilenet_v2 | 1 | 99.0 | 98.0 | +1.0 | +1.0 |",
        "| way | screws | trashnet | mean | minutes |",
        "| no marks | 80.0 | 41.0 | 60.5 | 5 |",
        "are weights of `edgetl pretrain` with the SHA-256 b5c5042c8852…",
        "| finetune | screws | all | 51.0 ± 12.7 | 71.0 ± 12.7 | 91.0 ± 12.7 | 50 % |",
        "![What weights to begin with are worth](images/benchmarks/pretraining-worth.png)",
        "| built-in | 6 | 98.5 (98.0 to 99.0) | 30 |",
        "MobileNetV2 with 6 classes at 224 px, 81 calibration pictures; accuracy on 240 test pictures.",
        "both int8 files; it was told `--rung mse`.",
        "| edgetl export | 61 | 1900 | 2.60 | 83.10 | 83.00 |",
        "| ultralytics export | 30 | 900 | 1.60 |  |  |",
        "onnx2tf -oiqt: failed (onnx2tf ended with exit code 1).",
        "ultralytics export: ultralytics 8.4.1.",
        "| edgetl | 88.0 | 87.0, 89.0 | 120 | 900 | finetune |",
        "| timm | 85.0 | 84.5, 85.5 | 120 | 950 | 7 |",
        "ultralytics: absent (ultralytics: not in the Python that --peer names).",
        "| edgetl | 0.9987 | 62 | 1900 | 9.5 | 120 | 12.0 |",
        "| anomalib PaDiM | 0.9700 | 25 | 1500 | 30.0 | 700 | 60.0 |",
        "Not measured yet: backbones, repeatability-full, overlap, export, growth-training, growth-long.",
    ):
        assert said in text
    assert "Worse than linear: edgetl train" not in text
    for picture in re.findall(r"!\[.*\]\((.*)\)", text):
        assert (tmp_path / picture).stat().st_size > 1000


def test_every_piece_has_a_section() -> None:
    assert {piece.name for piece in PIECES} == set(SECTIONS)


def test_measurement_is_kept_with_how_it_came_about(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    tiny.write(work / "mobilenet_v2.edgetl")
    piece = Piece("latency", "edgetl bench {mobilenet_v2} --quick --out {out} --json")
    kept = measure(piece, tmp_path / "results", work)
    assert kept.command == "edgetl bench mobilenet_v2.edgetl --quick --out OUT.json --json"
    assert kept.found["sweep"] and kept.seconds > 0 and kept.commit
    assert read_results(tmp_path / "results") == {"latency": kept}


def test_measurement_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    with pytest.raises(EdgetlError, match="latency: `edgetl bench none` ended with exit code 2"):
        measure(Piece("latency", "edgetl bench none"), tmp_path / "results", tmp_path)
    assert not (tmp_path / "results").exists()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x.json").write_text("{}")
    with pytest.raises(UsageError, match=r"x\.json: no result"):
        read_results(tmp_path / "results")


COUNTING = Piece("recipes", "tests.benchmarks.counting {work}/rows.json", rows="rows.json")


@pytest.mark.usefixtures("interruptible")
def test_what_takes_days_is_kept_when_it_is_stopped_and_goes_on_from_there(tmp_path: Path) -> None:
    results, one, other = (tmp_path / name for name in ("results", "one", "other"))
    with pytest.raises(UsageError, match="recipes: no result with rows"):
        measure(COUNTING, results, one, resume=True)
    stopper = threading.Thread(target=_interrupt_once_there, args=(one / "rows.json",))
    stopper.start()
    with pytest.raises(KeyboardInterrupt):
        measure(COUNTING, results, one)
    stopper.join()
    before = read_results(results)["recipes"].found["rows"]
    assert before[0] == "first" and len(before) < 40
    with pytest.raises(KeyboardInterrupt):  # elsewhere, with nothing but the result
        stopper = threading.Thread(target=_interrupt_once_there, args=(other / "rows.json", len(before) + 1))
        stopper.start()
        measure(COUNTING, results, other, resume=True)
    stopper.join()
    after = read_results(results)["recipes"].found["rows"]
    assert after[: len(before)] == before and len(after) > len(before)


def _interrupt_once_there(rows: Path, count: int = 1) -> None:
    while not rows.exists() or len(json.loads(rows.read_text())["rows"]) < count:
        time.sleep(0.02)
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(
        main, signal.SIGINT
    )  # to the process it might go to a thread of a library, and the main one would sleep on


def test_page_in_the_docs_is_the_one_that_the_kept_results_give(tmp_path: Path) -> None:
    written = write_document(read_results(), tmp_path)
    assert written.read_text() == (RESULTS.parents[1] / "docs" / "benchmarks.md").read_text(), (
        "run `python -m edgetl.benchmarks.record --page-only`"
    )
