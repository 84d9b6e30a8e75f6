"""What keeps a model that lost too much from being shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import GateError
from edgetl.exporter.measuring import FLOAT, Judged, check_drop, table
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.evaluation import Evaluation
from edgetl.runtime.metrics import measure
from tests.cli.calling import call, refused
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


def test_loss_at_the_limit_passes_and_beyond_it_does_not() -> None:
    float_model, int8 = judged(FLOAT, val=(100, 100)), judged("int8", val=(98, 100))
    assert check_drop(float_model, int8, 1.0) == pytest.approx(1.0)
    with pytest.raises(GateError):
        check_drop(float_model, int8, 0.99)


def test_gain_is_a_negative_drop_and_passes() -> None:
    assert check_drop(judged(FLOAT, val=(90, 90)), judged("int8", val=(95, 95)), 0.0) == pytest.approx(-5.0)


def test_all_measured_pictures_count_together() -> None:
    """6 points lost on val and none on test are 3 on both."""
    float_model, int8 = judged(FLOAT, val=(100, 100), test=(100, 100)), judged("int8", val=(94, 94), test=(100, 100))
    assert check_drop(float_model, int8, 3.5) == pytest.approx(3.0)


def test_classes_weigh_the_same_whatever_their_size() -> None:
    truth = np.array([0] * 190 + [1] * 10, np.int64)
    said = truth.copy()
    said[-5:] = 0  # half of the rare class lost, 2.5 % of the pictures
    models = []
    for model, answer in ((FLOAT, truth), ("int8", said)):
        predicted = {str(i): LABELS[s] for i, s in enumerate(answer)}
        evaluation = Evaluation(
            model=model,
            split="val",
            metrics=measure(truth, answer, LABELS),
            verdicts={},
            passed_over={},
            predicted=predicted,
        )
        models.append(Judged(model, {"val": evaluation}))
    with pytest.raises(GateError, match=r"loses 25\.00 points"):
        check_drop(*models, 5.0)


def test_refusal_names_model_limit_and_pictures_that_changed() -> None:
    with pytest.raises(GateError) as caught:
        check_drop(judged(FLOAT, val=(100, 100)), judged("model/int8.tflite", val=(95, 100)), 1.0)
    message = str(caught.value)
    assert "model/int8.tflite loses 2.50 points" in message and "--max-drop 1" in message
    assert "first of 5: val/095: good became bad" in message
    assert "\n" not in message


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


@pytest.mark.slow
def test_gate_that_stays_shut_leaves_no_file(refused_export: Refused) -> None:
    done, out, _ = refused_export
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edgetl: E_GATE: model/int8.tflite loses ")
    assert "more than --max-drop -200; no bundle was written" in last
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_bundle_that_was_there_stays(small_run: Path, small_bundle: Path, converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts.edgetl"
    out.write_bytes(small_bundle.read_bytes())
    refused(call("export", small_run, "--out", out, "--max-drop", -200), 1, "E_GATE")
    assert out.read_bytes() == small_bundle.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["parts.edgetl"]
    open_bundle(out).close()


@pytest.mark.slow
def test_open_gate_replaces_it(small_run: Path, small_bundle: Path, converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts.edgetl"
    out.write_bytes(b"an older one")
    answer = call("export", small_run, "--out", out, "--max-drop", 60, "--min-score", 0, "--no-float", "--json")
    assert answer.code == 0, answer.err
    with open_bundle(out) as bundle:
        assert {m.path for m in bundle.manifest.models} == {"model/int8.tflite", "model/int8.onnx"}
    assert [p.name for p in tmp_path.iterdir()] == ["parts.edgetl"]
