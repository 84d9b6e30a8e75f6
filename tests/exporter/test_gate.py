"""What keeps a model that lost too much from being shipped."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.exporter.ladder.report import LadderRecord
from edgetl.exporter.measuring import Judged, expected_flips, table
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.evaluation import Evaluation
from edgetl.runtime.metrics import measure
from edgetl.trainer.run_folder import FLOAT
from tests.cli.calling import call, refused
from tests.conftest import OPEN_GATE
from tests.exporter.conftest import Refused

LABELS = ("good", "bad")


def judged(model: str, **splits: tuple[int, int]) -> Judged:
    """A model that judged 100 good and 100 bad pictures a split, of which so many rightly."""
    by_split = {}
    truth = [0] * 100 + [1] * 100
    for split, (good, bad) in splits.items():
        said = [0] * good + [1] * (100 - good) + [1] * bad + [0] * (100 - bad)
        metrics = measure(np.array(truth, np.int64), np.array(said, np.int64), LABELS)
        predicted = {f"{split}/{i:03d}": LABELS[s] for i, s in enumerate(said)}
        by_split[split] = Evaluation(
            model=model, split=split, metrics=metrics, verdicts={}, passed_over={}, predicted=predicted
        )
    return Judged(model, by_split)


def test_table_has_a_row_for_each_model_and_split_with_the_decisions_that_agree() -> None:
    rows = table(judged(FLOAT, val=(100, 100), test=(90, 90)), [judged("int8", val=(95, 100), test=(90, 90))])
    found = {(row.model, row.split): (row.n, row.balanced_accuracy, row.same_decisions) for row in rows}
    assert found == {
        (FLOAT, "val"): (200, 1.0, 1.0),
        (FLOAT, "test"): (200, 0.9, 1.0),
        ("int8", "val"): (200, pytest.approx(0.975), pytest.approx(0.975)),
        ("int8", "test"): (200, 0.9, 1.0),
    }
    assert all(row.low < row.balanced_accuracy <= row.high or row.balanced_accuracy == 1.0 for row in rows)


def rounded(pictures: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A network's logits on some pictures, and the same with a rounding that no picture has to do with."""
    numbers = np.random.default_rng(seed)
    exact = numbers.normal(size=(pictures, 5)).astype(np.float32)
    return exact, exact + numbers.normal(scale=0.1, size=exact.shape).astype(np.float32)


def flipped(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    return float((exact.argmax(axis=1) != found.argmax(axis=1)).mean())


def test_expected_flips_tell_from_few_pictures_what_many_would_show() -> None:
    true = flipped(*rounded(200_000, seed=1))
    few = [rounded(60, seed) for seed in range(2, 102)]
    expected = np.array([expected_flips(*logits) for logits in few])
    counted = np.array([flipped(*logits) for logits in few])
    assert abs(expected.mean() - true) < 0.1 * true
    assert np.square(expected - true).mean() < 0.5 * np.square(counted - true).mean()


def test_expected_flips_hold_what_is_shifted_for_all_pictures_and_need_two_of_them() -> None:
    exact, _ = rounded(50, seed=1)
    moved = exact + np.array([3, 0, 0, 0, 0], np.float32)
    assert expected_flips(exact, moved) == pytest.approx(flipped(exact, moved))
    assert expected_flips(exact, exact) == 0.0
    assert expected_flips(exact[:1], exact[:1]) is None


@pytest.mark.slow
@pytest.mark.fault("M8")
def test_gate_that_stays_shut_leaves_a_report_and_no_bundle(refused_export: Refused) -> None:
    done, out, _ = refused_export
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edgetl: E_GATE: model/int8.tflite (rung mse) loses ")
    assert "more than --max-drop -200" in last and "no bundle was written" in last
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    report = out.with_name("parts.refused.json")
    assert sorted(p.name for p in out.parent.iterdir()) == ["parts.refused.json", "parts.refused.png"]
    assert str(report) in last
    record = msgspec.json.decode(report.read_bytes(), type=LadderRecord)
    assert record.limits.max_drop == -200
    (attempt,) = record.climb.attempts
    assert (attempt.rung, attempt.passed, record.climb.chosen) == ("mse", False, None)
    assert [o.model for o in attempt.outcomes] == ["model/int8.tflite", "model/int8.onnx"]
    assert all(o.expected_percent is not None and 0 <= o.expected_percent <= 100 for o in attempt.outcomes)
    assert cv2.imread(str(out.with_name("parts.refused.png"))).shape[2] == 3


@pytest.mark.slow
def test_bundle_that_was_there_stays(
    small_run: Path, small_bundle: Path, converted: tuple[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "parts.edgetl"
    out.write_bytes(small_bundle.read_bytes())
    refused(call("export", small_run, "--out", out, "--max-drop", -200, "--rung", "mse", *converted), 1, "E_GATE")
    assert out.read_bytes() == small_bundle.read_bytes()
    names = ["parts.edgetl", "parts.refused.json", "parts.refused.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    open_bundle(out).close()


@pytest.mark.slow
def test_open_gate_replaces_it(small_run: Path, small_bundle: Path, converted: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "parts.edgetl"
    out.write_bytes(b"an older one")
    out.with_name("parts.refused.json").write_text("of an earlier try")
    answer = call("export", small_run, "--out", out, *OPEN_GATE, "--min-score", 0, "--no-float", "--json", *converted)
    assert answer.code == 0, answer.err
    with open_bundle(out) as bundle:
        assert {m.path for m in bundle.manifest.models} == {"model/int8.tflite", "model/int8.onnx"}
        record = msgspec.json.decode(bundle.read("ladder.json"), type=LadderRecord)
        assert bundle.read("ladder.png")[:4] == b"\x89PNG"
        assert record.climb.chosen == bundle.manifest.lineage.rung == "equalized"
        assert json.loads(answer.out)["rung"] == "equalized"
    assert [p.name for p in tmp_path.iterdir()] == ["parts.edgetl"]
