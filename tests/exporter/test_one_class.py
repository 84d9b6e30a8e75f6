"""A one-class run becomes a bundle like any other: int8, measured, proved, replayed, and it still finds scratches."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edgetl.exporter.ladder.gate import Limits, pass_or_refuse
from edgetl.exporter.ladder.report import LadderRecord
from edgetl.exporter.ladder.scores import with_scores
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.golden import read_golden
from edgetl.runtime.interpreters import open_named
from edgetl.runtime.interpreters.scoring import ScoringInterpreter
from edgetl.runtime.page.gallery import Reject
from edgetl.runtime.page.heat_worker import HeatWorker
from edgetl.runtime.preprocess import preprocess
from edgetl.runtime.verdict import Verdict
from edgetl.runtime.verification import verify
from edgetl.trainer.run_folder import read_run, write_record
from tests.cli.calling import call, refused
from tests.good_parts import SIDE, part
from tests.runtime import tiny

RULE = DecisionRule(("good", "anomaly"), ("good",))
TRUTH = {**{f"g{i}": "good" for i in range(10)}, **{f"b{i}": "anomaly" for i in range(10)}}


def test_int8_finds_the_scratches_that_float_finds(good_bundle: Path, good_run: Path, good_parts: Path) -> None:
    before, after = (
        json.loads(call("evaluate", target, "--data", good_parts, "--json").out) for target in (good_run, good_bundle)
    )
    assert after["auroc"]["value"] > before["auroc"]["value"] - 0.02
    assert after["verdicts"]["good"]["OK"] >= 55 and after["verdicts"]["anomaly"]["OK"] <= 3


def test_bundle_passes_its_checks_with_the_feature_maps_equal_to_the_bit(good_bundle: Path) -> None:
    result = verify(good_bundle)
    assert result.passed, result.reason
    assert all(proof.fully_int8 for proof in result.proofs) and len(result.proofs) == 2
    exact = [r for r in result.replays if r.kernels == "reference" and r.interpreter == "litert"]
    assert exact and all(r.exact == r.pictures for r in exact)


def test_manifest_says_what_the_verdicts_rest_on(good_bundle: Path) -> None:
    with open_bundle(good_bundle) as bundle:
        manifest, golden = bundle.manifest, read_golden(bundle)
    assert manifest.format_version == 2 and manifest.detector is not None
    assert set(manifest.detector.banks) == {m.path for m in manifest.models}
    areas = {(row.model, row.split): row.auroc for row in manifest.measured}
    assert all(area is not None and area.value > 0.95 for area in areas.values())
    assert {picture.truth for picture in golden.pictures} == {"good", "anomaly"}


@pytest.mark.slow
def test_a_threshold_that_the_run_read_from_val_is_no_doing_of_the_files(
    good_run: Path, good_parts: Path, tmp_path: Path
) -> None:
    """Files have theirs from train. Where the two lie apart, the network is judged by such a one too, and is what it was."""
    run = Path(shutil.copytree(good_run, tmp_path / "run"))
    record = read_run(run).record
    assert record.detector is not None
    strict = {
        name: msgspec.structs.replace(b, threshold=0.8 * b.threshold) for name, b in record.detector.banks.items()
    }
    record.detector = msgspec.structs.replace(record.detector, banks=strict)
    write_record(run, record)
    answer = call("export", run, "--data", good_parts, "--out", tmp_path / "a.edgetl", "--rung", "float16")
    assert answer.code == 0, answer
    with open_bundle(tmp_path / "a.edgetl") as bundle:
        rows = {(row.model, row.split): row for row in bundle.manifest.measured}
    assert (
        rows["model/float32.tflite", "val"].same_decisions == 1.0 == rows["model/float16.tflite", "val"].same_decisions
    )


def test_ladder_tells_no_size_of_logits_where_there_are_none(good_bundle: Path) -> None:
    with open_bundle(good_bundle) as bundle:
        record = msgspec.json.decode(bundle.read("ladder.json"), type=LadderRecord)
    outcomes = [outcome for attempt in record.climb.attempts for outcome in attempt.outcomes]
    assert len(outcomes) >= 2 and all(o.gain is None and o.scores is not None for o in outcomes)


def test_each_model_is_judged_by_patches_as_it_sees_them(good_bundle: Path) -> None:
    """A patch of the run lies where this very file puts it, so the distance of a remembered picture is not one of rounding."""
    with open_bundle(good_bundle) as bundle:
        assert bundle.manifest.detector is not None
        banks = [bundle.read(bank.member) for bank in bundle.manifest.detector.banks.values()]
    assert len(set(banks)) == len(banks)


def test_the_heat_lies_on_the_scratch(good_bundle: Path) -> None:
    with open_bundle(good_bundle) as bundle:
        model, how = open_named(bundle, "litert"), bundle.manifest.preprocessing
    assert isinstance(model, ScoringInterpreter)
    plain = part(9000)
    scratched = plain.copy()
    cv2.line(scratched, (60, 62), (74, 74), (25, 20, 30), 3, cv2.LINE_AA)
    warmer = model.distances(preprocess(scratched, how)) - model.distances(preprocess(plain, how))
    row, column = np.unravel_index(warmer.argmax(), warmer.shape)
    assert abs((row + 0.5) / warmer.shape[0] - 68 / 96) < 0.2
    assert abs((column + 0.5) / warmer.shape[1] - 67 / 96) < 0.2


def test_run_gives_verdicts(good_bundle: Path, good_parts: Path) -> None:
    for folder, wanted in (("good", "OK"), ("scratched", "NG")):
        done = call("run", good_bundle, "--source", good_parts / "test" / folder, "--json")
        assert done.code == 0, done.err
        verdicts = [v for line in done.out.splitlines() if "verdict" in (v := json.loads(line))]
        assert [v["verdict"] for v in verdicts].count(wanted) >= 0.8 * len(verdicts)
        assert {v["label"] for v in verdicts} <= {"good", "anomaly"} and all(0 <= v["score"] <= 1 for v in verdicts)


def test_saved_video_shows_the_heat_of_what_is_not_good(good_bundle: Path, good_parts: Path, tmp_path: Path) -> None:
    coloured = {}
    for folder in ("good", "scratched"):
        video = tmp_path / f"{folder}.avi"
        done = call("run", good_bundle, "--source", good_parts / "test" / folder, "--limit", 8, "--save", video)
        assert done.code == 0, done.err
        capture = cv2.VideoCapture(str(video))
        live = [frame[60:420, 120:520].astype(np.int64) for good, frame in iter(capture.read, (False, None)) if good]
        assert len(live) == 8
        coloured[folder] = max(float((np.abs(f[:, :, 0] - f[:, :, 2]) > 60).mean()) for f in live)
    assert coloured["scratched"] > 0.01 > coloured["good"], "the parts are grey; only heat has colours"


def test_page_draws_the_distances_themselves(good_bundle: Path) -> None:
    with open_bundle(good_bundle) as bundle:
        model, manifest = open_named(bundle, "litert"), bundle.manifest
    worker = HeatWorker(lambda: model, manifest.preprocessing, manifest.rule.labels)
    _, data = cv2.imencode(".png", part(9001, scratched=True))
    verdict = Verdict(
        sequence=1, verdict="NG", label="anomaly", score=0.9, source="cam", frame=0, time_s=0, latency_ms=1
    )
    kept, deadline = Reject(verdict, data.tobytes(), b"", SIDE), time.monotonic() + 60
    while (made := worker.ask(1, kept)) is None:
        assert time.monotonic() < deadline, "no heat map in time"
        time.sleep(0.01)
    worker.close()
    assert made.picture[:2] == b"\xff\xd8"
    assert 1.0 < float(made.said.split(" lies ")[1].split(" times")[0]) < 20


@pytest.mark.slow
def test_parity_report_compares_verdicts_not_feature_maps(good_bundle: Path, good_run: Path, tmp_path: Path) -> None:
    done = call("parity", good_run, good_bundle, "--out", tmp_path / "report", "--max-flips", 10, "--json")
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "report" / "parity.json").read_text())["rows"]
    ships = [row["comparison"] for row in rows if row["ships"]]
    assert ships and all(c["same"] >= 0.9 * c["pictures"] for c in ships)


def bank(threshold: float = 1.0) -> dict[str, object]:
    """What a manifest says of a bank that is not there."""
    return {"member": "gone.f32", "threshold": threshold, "spread": 0.1}


def changed_manifest(path: Path, out: Path, **fields: object) -> Path:
    """The bundle with fields of its detector replaced and a manifest that vouches for it."""

    def change(name: str, data: bytes) -> bytes:
        if name != "manifest.json":
            return data
        manifest = msgspec.json.decode(data)
        manifest["detector"] = {**manifest["detector"], **fields} if fields else None
        return msgspec.json.encode(manifest)

    return tiny.rewritten(path, out, change)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"entries": 7}, "expected"),
        ({"banks": {"model/int8.tflite": bank(threshold=0)}}, "threshold"),
        ({"grids": []}, "at least one feature map"),
        ({"banks": {}}, "no bank for"),
        ({"banks": dict.fromkeys(("model/int8.tflite", "model/int8.onnx"), bank())}, "holds no gone.f32"),
    ],
)
def test_a_detector_that_cannot_be_is_refused_in_one_line(
    fields: dict[str, object], said: str, good_bundle: Path, tmp_path: Path
) -> None:
    broken = changed_manifest(good_bundle, tmp_path / "broken.edgetl", **fields)
    done = call("verify", broken)
    assert done.code == 1 and said in done.last and len(done.err.splitlines()) == 1, done


def test_a_damaged_bank_is_refused(good_bundle: Path, tmp_path: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        return b"\xff" * len(data) if name.endswith(".f32") else data

    refused(call("verify", tiny.rewritten(good_bundle, tmp_path / "b.edgetl", change)), 1, "E_MODEL", "not finite")


def judged(scores: dict[str, float]) -> dict[str, str]:
    return {path: "anomaly" if score > 0 else "good" for path, score in scores.items()}


def test_gate_refuses_scores_that_no_longer_tell_bad_from_good() -> None:
    before = {path: (1.0 if label == "anomaly" else -1.0) + i / 100 for i, (path, label) in enumerate(TRUTH.items())}
    # every verdict at the threshold stays, but on each side the order is gone
    after = {path: score if TRUTH[path] == "good" else -score for path, score in before.items()}
    limits = Limits(max_drop=1, max_recall_loss=100, max_flips=100)
    outcome = pass_or_refuse("int8", TRUTH, judged(before), judged(before), limits)
    assert with_scores(outcome, TRUTH, before, before, RULE, limits).passed
    refusing = with_scores(outcome, TRUTH, before, after, RULE, limits)
    assert not refusing.passed and "points of AUROC, more than --max-drop 1" in refusing.reasons[0]


def test_gate_without_bad_parts_tells_how_the_scores_agree() -> None:
    good = {path: label for path, label in TRUTH.items() if label == "good"}
    before = {path: float(i) for i, path in enumerate(good)}
    limits = Limits()
    outcome = pass_or_refuse("int8", good, judged(before), judged(before), limits)
    found = with_scores(outcome, good, before, {p: 9 - s for p, s in before.items()}, RULE, limits).scores
    assert found is not None and (found.auroc_before, found.correlation) == (None, -1.0)
