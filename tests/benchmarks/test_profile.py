"""The pieces of a graph are the graph up to each operator, and times are told by kind."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgetl.benchmarks.roofline.peak import Peak
from edgetl.benchmarks.roofline.products import tflite_product
from edgetl.benchmarks.roofline.profile import OperatorTime, by_kind, pieces, profile
from edgetl.runtime.graphs import read_tflite
from edgetl.runtime.graphs.work import OperatorWork
from edgetl.runtime.interpreters import open_interpreter

PEAK = Peak(1, 200.0, "litert", 50.0, "litert")


def test_pieces_end_with_the_whole_which_answers_as_before(small_bundle: Path) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        model = archive.read("model/int8.tflite")
    kinds = [operator.kind for operator in read_tflite(model, "m").operators]
    found = list(pieces(model))
    assert [len(read_tflite(piece, "p").operators) for piece in found] == list(range(1, len(kinds) + 1))
    whole, last = open_interpreter("litert", model, "m"), open_interpreter("litert", found[-1], "p")
    image = np.random.default_rng(0).integers(0, 256, (whole.size, whole.size, 3), np.uint8)
    assert whole.raw(image).tolist() == last.raw(image).tolist()


def test_every_operator_has_its_time_beside_its_ceiling() -> None:
    (found,) = profile(tflite_product("int8"), "p", PEAK, copied_gb_s=10.0)
    assert found.work.kind == "FULLY_CONNECTED" and found.ms > 0
    assert found.ceiling_ms == pytest.approx(512 * 1024 * 512 / 200e9 * 1e3, rel=1e-3)


def test_kinds_are_told_the_slowest_first() -> None:
    def one(kind: str, ms: float, least: float) -> OperatorTime:
        return OperatorTime(OperatorWork(kind, 1, 1, True), ms, least)

    found = by_kind([one("ADD", 0.5, 0.1), one("CONV_2D", 1.0, 0.5), one("ADD", 1.0, 0.2), one("CONV_2D", 1.5, 1.0)])
    assert [(k.kind, k.count, k.ms) for k in found] == [("CONV_2D", 2, 2.5), ("ADD", 2, 1.5)]
    assert [k.share for k in found] == [0.625, 0.375]
    assert [k.roofline for k in found] == [0.6, 0.2]
