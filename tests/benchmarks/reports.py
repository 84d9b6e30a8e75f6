"""A report of `edgetl bench` as it would be, to change in one thing or another."""

from __future__ import annotations

from typing import Any

from edgetl.benchmarks.accuracy import Accuracy
from edgetl.benchmarks.cold import Cold
from edgetl.benchmarks.judgement import Judgement
from edgetl.benchmarks.report import Report
from edgetl.benchmarks.roofline.ceiling import Ceiling
from edgetl.benchmarks.roofline.peak import Peak
from edgetl.benchmarks.sweep import Row
from edgetl.benchmarks.timing import WarmUp

FIGURES = {"p50_ms": 12.0, "p90_ms": 13.0, "p99_ms": 15.0, "max_ms": 20.0}
MACHINE = {"processor": "Sample Processor", "architecture": "x86_64", "int8_instructions": "avx2", "cores": "2",
           "board": "not known", "serial": "0123456789ab"}  # fmt: skip


def row(p50_ms: float = 10.0) -> Row:
    """An int8 row."""
    return Row("model/int8.tflite", "int8", "litert", 1, 1024, 5.0, 11.0, p50_ms, 11.0, 12.0, 14.0, True, False, "cafe",
               Ceiling(0.3, 18.0, 90.0, 4.0), 0.4)  # fmt: skip


def report(**changes: Any) -> Report:
    """A full report of one row."""
    stages = dict.fromkeys(("capture", "preprocess", "inference", "decision", "output"), FIGURES)
    known: dict[str, Any] = {
        "bundle": "part.edgetl", "bundle_sha256": "ab" * 32, "quick": False, "machine": MACHINE,
        "warm_up": WarmUp(200, 2.0, True), "chosen": "model/int8.tflite in litert, 1 threads", "end_to_end": FIGURES,
        "stages": stages, "sweep": [row()], "peaks": [Peak(1, 200.0, "litert", 50.0, "litert")], "int8_speedup": 2.0,
        "cold": Cold(5, 200.0, 10.0, 11.0, 400.0, []), "accuracy": Accuracy(golden_pictures=8, golden_flips=0),
        "sustained": [], "judgement": Judgement("PASS"), "notes": [],
    }  # fmt: skip
    return Report(**{**known, **changes})
