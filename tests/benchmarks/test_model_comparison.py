"""`edgetl compare`: who goes on, who is best, what is kept, and that nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgetl.benchmarks.model_comparison.candidate import SEARCHED, Candidate, Plan, Row, Trained
from edgetl.benchmarks.model_comparison.command import visible_gpus, weights_by_model
from edgetl.benchmarks.model_comparison.comparing import PLAN, claim
from edgetl.benchmarks.model_comparison.ranking import (
    after_probes,
    finalists,
    gain_of_transfer,
    pareto,
    ranked,
    to_export,
)
from edgetl.benchmarks.model_comparison.study import Study
from edgetl.benchmarks.model_comparison.working import Workshop
from edgetl.errors import EdgetlError, UsageError
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from tests.cli.calling import call, refused


def trained(model: str, val: float, way: str = "probe", seconds: float = 1.0) -> Trained:
    candidate = msgspec.convert({"model": model, "way": way}, Candidate)
    return Trained(candidate=candidate, val=val, seconds=seconds, recipe="probe")


def row(model: str, val: float, ms: float, size: int, way: str = "full", test: float | None = None) -> Row:
    candidate = msgspec.convert({"model": model, "way": way}, Candidate)
    return Row(candidate=candidate, val=val, latency_ms=ms, bytes=size, test=test)


def test_best_probes_go_on_and_of_equals_the_faster() -> None:
    probes = [trained("a", 0.8), trained("b", 0.9, seconds=9), trained("c", 0.9, seconds=2)]
    assert finalists(probes, 2) == ["c", "b"]
    assert finalists(probes, 9) == ["c", "b", "a"]


def test_of_each_model_the_better_training_is_exported_and_what_began_from_nothing() -> None:
    found = to_export([trained("a", 0.9), trained("b", 0.7), trained("a", 0.8, "full"), trained("a", 0.5, "scratch")])
    assert [(t.candidate.model, t.candidate.way) for t in found] == [("a", "probe"), ("b", "probe"), ("a", "scratch")]


def test_what_another_beats_in_everything_is_not_among_the_best() -> None:
    slow, quick, both, worse = (
        row("a", 0.9, 9, 900),
        row("b", 0.8, 2, 200),
        row("c", 0.85, 3, 300),
        row("d", 0.8, 3, 300),
    )
    broken = Row(candidate=Candidate("e", "probe"), trouble="no weights")
    rows = [worse, broken, quick, slow, both]
    assert pareto(rows) == {slow.candidate, quick.candidate, both.candidate}
    assert [r.candidate.model for r in ranked(rows)] == ["a", "c", "b", "d", "e"]


def test_latency_that_two_runs_of_one_program_may_differ_by_puts_nothing_among_the_best() -> None:
    better, luckier, quicker = row("a", 0.9, 1.00, 1), row("a", 0.5, 0.98, 1, "scratch"), row("b", 0.5, 0.90, 1)
    assert pareto([better, luckier]) == {better.candidate}
    assert pareto([better, quicker]) == {better.candidate, quicker.candidate}


def test_folder_without_pictures_is_one_line_and_claims_nothing(tmp_path: Path) -> None:
    answer = call("compare", "--data", tmp_path / "none", "--models", "mobilenet_v2_050", "--out", tmp_path / "out")
    refused(answer, 2, "E_DATASET", "no such folder")
    assert not (tmp_path / "out").exists()


def test_twins_are_both_among_the_best() -> None:
    assert len(pareto([row("a", 0.9, 1, 1), row("b", 0.9, 1, 1)])) == 2


def test_gain_of_transfer_is_against_the_same_model() -> None:
    rows = [row("b", 0.95, 1, 1, test=0.99), row("a", 0.9, 1, 1, test=0.9), row("a", 0.6, 1, 1, "scratch", test=0.65)]
    assert gain_of_transfer(rows) == pytest.approx(25.0)
    assert gain_of_transfer(rows[:2]) is None


def test_what_began_from_nothing_is_no_transfer_and_is_trained_once() -> None:
    twins = [row("a", 0.9, 1, 1, test=0.9), row("a", 0.6, 1, 1, "scratch", test=0.65)]
    assert gain_of_transfer([msgspec.structs.replace(twins[0], recipe="scratch"), twins[1]]) is None
    plan = Plan(data="parts", models=("a", "b"), weights={"a": "none"})
    assert [(c.model, c.way) for c in after_probes(["a", "b"], plan)] == [("a", "full"), ("b", "full")]
    assert [(c.model, c.way) for c in after_probes(["b", "a"], plan)][2:] == [("b", "scratch")]


def test_flags_of_a_candidate() -> None:
    plan = Plan(data="parts", models=("a", "b"), weights={"": "none", "b": "b.pth"}, epochs=3, ok=("good",))
    full, probe = plan.flags(Candidate("b", "full")), plan.flags(Candidate("a", "probe"))
    assert "--weights b.pth" in " ".join(full) and "--recipe auto" in " ".join(full) and "--epochs 3" in " ".join(full)
    assert "--weights none" in " ".join(probe) and "--epochs" not in probe and "--ok good" in " ".join(probe)
    assert "--weights none --recipe scratch" in " ".join(plan.flags(Candidate("b", "scratch")))
    assert plan.flags(Candidate("b", "tuned", (("--lr", 0.00123),)))[-2:] == ["--lr", "0.00123"]


def test_weights_by_model(tmp_path: Path) -> None:
    assert weights_by_model(("a=x.pth", "auto"), ("a", "b")) == {"a": "x.pth", "": "auto"}
    odd = tmp_path / "k=v.pth"
    odd.touch()
    assert weights_by_model((str(odd),), ("a",)) == {"": str(odd)}
    with pytest.raises(UsageError, match="c is none of --models a,b"):
        weights_by_model(("c=x.pth",), ("a", "b"))
    with pytest.raises(UsageError, match="given twice for a"):
        weights_by_model(("a=x.pth", "a=y.pth"), ("a",))


def test_jobs_have_a_gpu_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    shop = Workshop(Plan(data="d", models=("a",)), tmp_path, 3, visible_gpus())
    with shop._place() as one, shop._place() as two, shop._place() as three:
        assert [e["CUDA_VISIBLE_DEVICES"] for e in (one, two, three)] == ["2", "3", "2"]


def test_folder_of_another_comparison_is_refused_and_one_that_grows_is_not(tmp_path: Path) -> None:
    plan = Plan(data="parts", models=("a",), weights={"a": "x.pth"})
    claim(tmp_path / "out", plan)
    (tmp_path / "out/runs/a,probe").mkdir(parents=True)
    (tmp_path / "out/runs/a,probe/metrics.json").touch()
    claim(tmp_path / "out", msgspec.structs.replace(plan, models=("a", "b"), sweep=4))
    with pytest.raises(UsageError, match="other settings"):
        claim(tmp_path / "out", msgspec.structs.replace(plan, seed=1))
    with pytest.raises(UsageError, match="a began from other weights"):
        claim(tmp_path / "out", msgspec.structs.replace(plan, weights={"a": "y.pth"}))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        claim(tmp_path / "taken", plan)


def test_folder_where_nothing_was_trained_yet_takes_other_settings(tmp_path: Path) -> None:
    claim(tmp_path, Plan(data="parts", models=("misspelt",)))
    claim(tmp_path, Plan(data="parts", models=("a",), seed=1))
    assert msgspec.json.decode((tmp_path / PLAN).read_bytes(), type=Plan).models == ("a",)


class Trainer:
    """Trains nothing, notes what it was asked for, and fails or is interrupted where it is told to."""

    def __init__(self) -> None:
        self.asked: list[Candidate] = []
        self.fails_on = ""
        self.interrupted_on = ""

    def __call__(self, candidate: Candidate) -> Trained:
        self.asked.append(candidate)
        if candidate.model == self.interrupted_on:
            raise KeyboardInterrupt
        if candidate.model == self.fails_on:
            raise EdgetlError("no weights of that name")
        return Trained(candidate=candidate, val=0.5 + 0.01 * len(self.asked), seconds=1.0, recipe="probe")


def study(folder: Path, trainer: Trainer, jobs: int = 1) -> Study:
    return Study(folder, trainer, jobs, 0, lambda line: None)


PROBES = [Candidate(model, "probe") for model in "abc"]


def test_interrupted_comparison_goes_on_where_it_was(tmp_path: Path) -> None:
    trainer = Trainer()
    trainer.interrupted_on = "b"
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, trainer).train_all(PROBES)
    trainer.interrupted_on = ""
    done, failed = study(tmp_path, trainer).train_all(PROBES)
    assert [t.candidate.model for t in done] == ["a", "b", "c"] and not failed
    assert sorted(c.model for c in trainer.asked) == ["a", "b", "b", "c"]
    study(tmp_path, trainer).train_all(PROBES)
    assert len(trainer.asked) == 4


def test_one_that_fails_is_told_and_the_others_are_trained(tmp_path: Path) -> None:
    trainer = Trainer()
    trainer.fails_on = "b"
    done, failed = study(tmp_path, trainer).train_all(PROBES)
    assert [t.candidate.model for t in done] == ["a", "c"]
    assert failed == {PROBES[1]: "no weights of that name"}
    trainer.fails_on = ""
    done, failed = study(tmp_path, trainer).train_all(PROBES)
    assert len(done) == 3 and not failed


def test_several_at_once_are_each_trained_once(tmp_path: Path) -> None:
    trainer = Trainer()
    done, _ = study(tmp_path, trainer, jobs=3).train_all(PROBES)
    assert len(done) == 3 and sorted(c.model for c in trainer.asked) == ["a", "b", "c"]


def test_sweep_draws_within_its_bounds_and_goes_on(tmp_path: Path) -> None:
    trainer = Trainer()
    study(tmp_path, trainer).sweep("a", 2)
    found = study(tmp_path, trainer).sweep("a", 4)
    assert len(trainer.asked) == len(found) == 4 and found == sorted(found, key=lambda t: -t.val)
    assert len({t.candidate for t in found}) == 4
    for flag, value in (pair for t in found for pair in t.candidate.flags):
        assert SEARCHED[flag][0] <= value <= SEARCHED[flag][1]


@pytest.fixture
def plain_classes(tmp_path: Path) -> Path:
    """Pictures that any net can tell apart, so that int8 changes no label."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 30), ("val", 8), ("test", 8)):
        for label, colour in (("dark", 40), ("light", 200)):
            folder = tmp_path / "parts" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                image = noise.normal(colour, 12, (40, 40, 3)).clip(0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / f"{number}.png"), image)
    return tmp_path / "parts"


@pytest.mark.slow
def test_models_are_trained_exported_timed_and_ranked_once(plain_classes: Path, tmp_path: Path) -> None:
    out, weights = tmp_path / "out", tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    save_file(Network(describe("resnet_tiny"), 2, 32).net.state_dict(), weights)
    words = ("compare", "--data", plain_classes, "--models", "resnet_tiny,no_such_net", "--weights", weights, "--imgsz", 32,
             "--epochs", 2, "--finalists", 1, "--out", out)  # fmt: skip
    answer = call(*words, "--json")
    refused(answer, 1, "E_HEALTH", "not trained: no_such_net,probe")
    found = json.loads(answer.out)
    rows = {r["candidate"]["way"]: r for r in found["rows"] if r["candidate"]["model"] == "resnet_tiny"}
    assert rows["scratch"]["latency_ms"] > 0 and rows["scratch"]["bytes"] > 10_000 and not rows["scratch"]["trouble"]
    lost = next(r for r in found["rows"] if r["candidate"]["model"] == "no_such_net")
    assert "no_such_net" in lost["trouble"] and lost["val"] is None
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG") and (out / "study.db").is_file()
    before = {p: p.stat().st_mtime_ns for p in (*out.glob("bundles/*"), *out.glob("runs/*/*"), *out.glob("latency/*"))}
    again = call(*words)
    assert again.code == 1 and "* resnet_tiny" in again.out
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_no_model_that_can_be_had_fails(plain_classes: Path, tmp_path: Path) -> None:
    answer = call("compare", "--data", plain_classes, "--models", "no_such_net", "--out", tmp_path / "out")
    refused(answer, 1, "E_HEALTH", "none of the models came to the end")
    refused(
        call("compare", "--data", plain_classes, "--models", " , ", "--out", tmp_path), 2, "E_USAGE", "names no model"
    )


def test_folder_that_cannot_be_made_is_one_line(plain_classes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call("compare", "--data", plain_classes, "--models", "resnet_tiny", "--out", tmp_path / "file" / "out")
    refused(answer, 1, "E_STORAGE", "file/out")
