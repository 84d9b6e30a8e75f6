"""`edgetl decide` on a run, and what its bundle then does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def test_limits_are_in_the_run_and_the_account_says_what_they_come_to(run: Path) -> None:
    before = read_run(run).record.rule
    done = call("decide", run, "--max-escape", "5%", "--json")
    assert done.code == 0, done.err
    account = json.loads(done.out)
    assert account == json.loads((run / "decision.json").read_text())
    rule = read_run(run).record.rule
    assert before.limits is None and rule.limits is not None
    assert rule.limits.ok_below == account["limits"]["ok_below"] <= rule.limits.ng_above == 0.5
    val = account["val"]["escapes"]
    assert val["count"] <= 0.05 * val["of"]
    assert account["test"]["escapes"]["of"] == account["bad_parts"] == 16  # four bad classes of four test pictures
    assert account["bad_parts_needed"] == 59


def test_page_of_the_run_says_what_was_decided_and_how_many_more_bad_parts_a_claim_needs(run: Path) -> None:
    before = (run / "report.html").read_text()
    assert "<h2>Verdicts</h2>" not in before
    done = call("decide", run, "--max-escape", "5%")
    assert done.code == 0, done.err
    assert "59 bad parts must be judged without one escape; test has 16: 43 more" in done.out.replace("\n", " ")
    page = (run / "report.html").read_text()
    assert "<h2>Verdicts</h2>" in page
    assert "At most 5 % of the bad parts" in page
    assert "59 bad parts must be judged without one that passes; test has 16, so <b>43 more</b> are needed" in page
    assert call("decide", run, "--cost-escape", 10, "--cost-false-alarm", 1).code == 0
    page = (run / "report.html").read_text()
    assert "<h2>Verdicts</h2>" in page and "more</b> are needed" not in page


def test_evaluation_judges_by_the_limits(run: Path, small_data: Path) -> None:
    """A limit that lets nothing pass, and one that lets all pass, are seen in the verdicts."""
    assert call("decide", run, "--cost-escape", 1e9, "--cost-false-alarm", 1e-3).code == 0
    strict = json.loads(call("evaluate", run, "--data", small_data, "--split", "test", "--json").out)
    assert sum(counts["OK"] for counts in strict["verdicts"].values()) == 0
    assert call("decide", run, "--cost-escape", 1e-3, "--cost-false-alarm", 1e9).code == 0
    lax = json.loads(call("evaluate", run, "--data", small_data, "--split", "test", "--json").out)
    assert sum(counts["NG"] for counts in lax["verdicts"].values()) == 0


@pytest.mark.parametrize(
    "flags",
    [(), ("--max-escape", "1%", "--cost-escape", 3, "--cost-false-alarm", 1), ("--cost-escape", 3), ("--max-escape", "x%"),
     ("--max-escape", "1%", "--cost-escape", 3), ("--max-escape", "1%", "--cost-look", 3), ("--cost-look", 3),
     ("--max-escape", "0"), ("--cost-escape", -1, "--cost-false-alarm", 1),
     ("--cost-escape", "nan", "--cost-false-alarm", 1), ("--cost-escape", 2, "--cost-false-alarm", "inf")],
)  # fmt: skip
def test_wish_that_cannot_be_meant_is_refused(run: Path, flags: tuple[object, ...]) -> None:
    before = (run / "metrics.json").read_bytes()
    assert call("decide", run, *flags).code == 2
    assert (run / "metrics.json").read_bytes() == before
    assert not (run / "decision.json").exists()


def test_picture_that_changed_since_training_decides_nothing(run: Path, small_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_data, data)
    judged = next(s for s in read_run(run).splits if s.split == "val")
    other = next(s for s in read_run(run).splits if s.label != judged.label)
    shutil.copy(data / other.path, data / judged.path)
    refused(call("decide", run, "--max-escape", "1%", "--data", data), 2, "E_DATASET", judged.path, "was changed")
    assert not (run / "decision.json").exists()


def test_picture_that_is_gone_is_named(run: Path, small_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_data, data)
    gone = data / next(s.path for s in read_run(run).splits if s.split == "val")
    gone.unlink()
    refused(call("decide", run, "--max-escape", "1%", "--data", data), 2, "E_DATASET", f"{gone}: is missing", "--data")
    assert not (run / "decision.json").exists()


def test_folder_that_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    answer = call("decide", run, "--max-escape", "1%", "--data", tmp_path / "gone")
    refused(answer, 2, "E_DATASET", f"{tmp_path / 'gone'}: no such folder", "--data")


def test_run_without_judging_pictures_is_refused(run: Path) -> None:
    kept = [s for s in json.loads((run / "splits.json").read_text()) if s["split"] != "val"]
    (run / "splits.json").write_text(json.dumps(kept))
    refused(call("decide", run, "--max-escape", "1%"), 2, "E_DATASET", "no val pictures")


def test_going_on_with_a_run_that_is_at_its_end_keeps_its_limits(few_pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "--data", few_pictures, "--model", "resnet_tiny", "--weights", "none", "--imgsz", 32, "--recipe", "scratch",
             "--epochs", 1, "--ok", "ok", "--out", run)  # fmt: skip
    assert call(*words).code == 0
    assert call("decide", run, "--cost-escape", 3, "--cost-false-alarm", 1).code == 0
    before = read_run(run).record
    assert call("train", "--resume", "--out", run).code == 0
    after = read_run(run).record
    assert before.rule.limits is not None and after.rule == before.rule
    assert (run / "decision.json").exists() and after.seconds >= before.seconds
    record = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**record, "complete": False}))
    assert call("train", "--resume", "--out", run).code == 0
    assert read_run(run).record.rule.limits is None and not (run / "decision.json").exists()


def test_sorting_has_no_good_class_to_decide_for(run: Path) -> None:
    record = json.loads((run / "metrics.json").read_text())
    record["rule"]["ok_labels"] = record["rule"]["labels"]
    (run / "metrics.json").write_text(json.dumps(record))
    refused(call("decide", run, "--max-escape", "1%"), 2, "E_USAGE", "--ok LABEL")
