"""A run from class folders to a run folder, broken off, gone on with, and done again."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from edgetl.errors import DatasetError, RunError, TrainingError, UsageError
from edgetl.runtime.dataset import sha256_of
from edgetl.trainer.backbones import describe
from edgetl.trainer.builtin import builtin_file
from edgetl.trainer.network import Network
from edgetl.trainer.plots import plot_curves
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import BEST, LAST, Run, RunRecord, read_run
from edgetl.trainer.settings import Settings
from edgetl.trainer.training import claimed, train
from tests.cli.calling import call, refused
from tests.runtime.pictures import noise, save

FILES = {
    "args.yaml",
    "results.csv",
    "metrics.json",
    "splits.json",
    "curves.png",
    "confusion_val.png",
    "report.html",
    str(BEST),
    str(LAST),
}


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "results.csv").open() as file:
        return list(csv.DictReader(file))


def timeless(run: Path) -> list[dict[str, str]]:
    """The rows without the seconds that each took, the only figure that is not the same twice."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows_of(run)]


def tiny(data: Path, **changes: object) -> Settings:
    """The smallest run there is."""
    plain = {
        "data": str(data),
        "model": "mobilenet_v2_050",
        "weights": "none",
        "imgsz": 32,
        "epochs": 1,
        "batch": 8,
        "device": "cpu",
    }
    return Settings(**{**plain, **changes})  # type: ignore[arg-type]


def trained(settings: Settings, out: Path) -> RunRecord:
    return train(settings, out, resume=False, reporter=SilentReporter())


def test_run_folder_holds_what_the_contract_names_and_nothing_else(few_pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"  # of its own: an export leaves its log in the run that other tests share
    trained(tiny(few_pictures), run)
    assert files_below(run) == FILES
    for path in run.rglob("*"):
        if path.is_file():
            head = path.read_bytes()[:2]
            assert head not in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), (
                f"{path} looks like a pickle"
            )
    for picture in ("curves.png", "confusion_val.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG")


def test_record_says_what_happened(small_run: Path, small_data: Path) -> None:
    run = read_run(small_run)
    rows = rows_of(small_run)
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert run.record.complete
    assert run.record.rule.labels == tuple(sorted(p.name for p in (small_data / "train").iterdir()))
    assert run.record.rule.ok_labels == ("ok",)
    assert run.record.preprocessing.size == 64
    best = rows[run.record.best_epoch]
    assert float(best["val_balanced_accuracy"]) == pytest.approx(run.record.val_balanced_accuracy, abs=1e-5)
    assert run.record.val_balanced_accuracy == max(round(float(row["val_balanced_accuracy"]), 6) for row in rows)
    assert run.record.pictures == {
        split: sum(s.split == split for s in run.splits) for split in ("train", "val", "test")
    }
    assert run.settings.data == str(small_data) and run.settings.epochs == 2


def test_recorded_splits_are_the_files_and_share_no_picture(small_run: Path, small_data: Path) -> None:
    run = read_run(small_run)
    by_split: dict[str, set[str]] = {}
    for record in run.splits:
        assert sha256_of(small_data / record.path) == record.sha256
        by_split.setdefault(record.split, set()).add(record.sha256)
    assert set(by_split) == {"train", "val", "test"}
    for one, other in combinations(by_split, 2):
        assert by_split[one].isdisjoint(by_split[other])
    in_test = {p.relative_to(small_data).as_posix() for p in (small_data / "test").rglob("*.jpg")}
    assert {s.path for s in run.splits if s.split == "test"} == in_test
    assert len(run.splits) == 100


def test_best_weights_give_the_accuracy_that_is_recorded(small_run: Path, small_data: Path) -> None:
    answer = call(
        "evaluate", small_run, "--data", _val_alone(read_run(small_run), small_data), "--split", "val", "--json"
    )
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["balanced_accuracy"] == pytest.approx(
        read_run(small_run).record.val_balanced_accuracy, abs=1e-5
    )


def _val_alone(run: Run, data: Path) -> Path:
    """A folder of links to the run's val pictures."""
    folder = run.folder.parent / "val-alone"
    for record in run.splits:
        if record.split == "val" and not (target := folder / record.label / Path(record.path).name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(data / record.path)
    return folder


def test_same_seed_gives_the_same_bytes_and_another_seed_others(few_pictures: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        torch.manual_seed(hash(name) % 1000)  # what went before must not matter
        trained(tiny(few_pictures, seed=seed, augmentation="texture"), tmp_path / name)
    one, same, other = ((tmp_path / name / BEST).read_bytes() for name in ("one", "same", "other"))
    assert one == same
    assert one != other
    assert (tmp_path / "one/splits.json").read_bytes() == (tmp_path / "same/splits.json").read_bytes()


class BreaksOff(SilentReporter):
    """Presses Ctrl-C when a step of that name begins."""

    def __init__(self, at: str) -> None:
        self.at = at

    def begin(self, what: str, total: int) -> None:
        if what == self.at:
            raise KeyboardInterrupt


def test_run_that_was_broken_off_and_gone_on_with_is_the_run_in_one_go(few_pictures: Path, tmp_path: Path) -> None:
    """To the bit: optimizer, averaged weights, schedule and random numbers all go on where they stood."""
    settings = tiny(few_pictures, epochs=4, patience=4)
    whole = trained(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "two", resume=False, reporter=BreaksOff("epoch 3/4"))
    half = read_run(tmp_path / "two")
    assert not half.record.complete
    assert len(rows_of(tmp_path / "two")) == 3
    half.network()  # the best weights so far can be used
    record = train(settings, tmp_path / "two", resume=True, reporter=SilentReporter())
    assert (tmp_path / "two" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    last, other = (load_file(tmp_path / name / LAST) for name in ("two", "whole"))
    assert last.keys() == other.keys()
    assert all(torch.equal(last[name], other[name]) for name in last)
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(tmp_path / n)] for n in ("two", "whole")
    ]
    assert timeless[0] == timeless[1]
    assert (record.best_epoch, record.val_balanced_accuracy) == (whole.best_epoch, whole.val_balanced_accuracy)
    assert read_run(tmp_path / "two").record.complete


def test_pretrained_run_that_was_broken_off_blends_what_the_run_in_one_go_does(
    few_pictures: Path, tmp_path: Path
) -> None:
    """The weights of the start are still known when it ends."""
    torch.manual_seed(0)
    weights = tmp_path / "w.safetensors"
    save_file(Network(describe("mobilenet_v2_050"), 3, 32).net.state_dict(), weights)
    settings = tiny(few_pictures, weights=str(weights), recipe="finetune", epochs=3, patience=3)
    whole = trained(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "two", resume=False, reporter=BreaksOff("epoch 2/3"))
    decided = read_run(tmp_path / "two").settings  # as --resume takes them
    record = train(decided, tmp_path / "two", resume=True, reporter=SilentReporter())
    assert (tmp_path / "two" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    assert (record.blend, record.best_epoch) == (whole.blend, whole.best_epoch)
    assert any(name.startswith("start.") for name in load_file(tmp_path / "two" / LAST))


def test_best_epoch_before_the_break_is_still_known_after_it(few_pictures: Path, tmp_path: Path) -> None:
    """Going on brings nothing better here: it was the last epoch already."""
    before = trained(tiny(few_pictures, epochs=2), tmp_path / "run")
    after = train(read_run(tmp_path / "run").settings, tmp_path / "run", resume=True, reporter=SilentReporter())
    assert (after.best_epoch, after.val_balanced_accuracy) == (before.best_epoch, before.val_balanced_accuracy)


def test_resume_with_other_pictures_is_refused(few_pictures: Path, tmp_path: Path) -> None:
    """Else a picture that was tested could now be trained on."""
    data = tmp_path / "data"
    shutil.copytree(few_pictures, data)
    trained(tiny(data), tmp_path / "run")
    save(data / "ok" / "another.png", noise())
    with pytest.raises(DatasetError, match="changed since"):
        train(tiny(data), tmp_path / "run", resume=True, reporter=SilentReporter())


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_the_best_and_resume_completes(few_pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32, "--epochs", 60,
             "--patience", 60, "--batch", 8, "--out", run]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "edgetl", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and not ((run / "results.csv").exists() and len(rows_of(run)) >= 3):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert re.search(
        rf"best weights so far are kept; go on with: edgetl train .*--out {re.escape(str(run))} --resume", said
    ), said
    before = timeless(run)
    assert 3 <= len(rows_of(run)) < 61
    assert not read_run(run).record.complete
    assert read_run(run).network()
    answer = call(*words, "--resume", "--json")
    assert answer.code == 0, answer.err
    assert timeless(run)[: len(before)] == before
    assert [row["epoch"] for row in rows_of(run)] == [str(n) for n in range(61)]
    assert files_below(run) == FILES
    assert json.loads(answer.out)["best_epoch"] == read_run(run).record.best_epoch


def test_ctrl_c_before_the_first_epoch_does_not_promise_a_resume(
    few_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetl.trainer.progress.ConsoleReporter.begin", BreaksOff("decoding").begin.__func__)  # type: ignore[attr-defined]
    monkeypatch.setattr("edgetl.trainer.progress.ConsoleReporter.at", "decoding", raising=False)
    answer = call(
        "train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--out", tmp_path / "run"
    )
    assert answer.code == 130
    assert "stopped before the first epoch" in answer.err
    assert "--resume" not in answer.err


@pytest.mark.parametrize("what", ["file", "run"])
def test_out_that_is_not_empty_is_refused_and_left_alone(
    few_pictures: Path, small_run: Path, tmp_path: Path, what: str
) -> None:
    out = small_run if what == "run" else tmp_path
    (tmp_path / "notes.txt").write_text("mine")
    before = {name: (out / name).read_bytes() for name in files_below(out)}
    answer = call("train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--out", out)
    refused(answer, 2, "E_USAGE", "not empty", "choose another --out")
    assert ("--resume" in answer.last) is (what == "run")
    assert {name: (out / name).read_bytes() for name in files_below(out)} == before


@pytest.mark.parametrize("recipe", ["finetune", "one-class"])
def test_folder_in_which_another_training_is_at_work_is_refused(
    few_pictures: Path, tmp_path: Path, recipe: str
) -> None:
    """Also where the other one has not written anything yet."""
    words = (
        "train",
        "--data",
        few_pictures,
        "--model",
        "mobilenet_v2_050",
        "--recipe",
        recipe,
        "--out",
        tmp_path / "run",
    )
    with claimed(tmp_path / "run", resume=False):
        refused(call(*words), 2, "E_USAGE", f"{tmp_path / 'run'}: another training is at work there")
    with claimed(tmp_path / "run", resume=False):
        assert list((tmp_path / "run").iterdir()) == []


def test_training_that_goes_on_is_not_resumed_beside_itself(few_pictures: Path, tmp_path: Path) -> None:
    trained(tiny(few_pictures), tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files_below(tmp_path / "run")}
    with claimed(tmp_path / "run", resume=True):
        refused(call("train", "--out", tmp_path / "run", "--resume"), 2, "E_USAGE", "another training is at work there")
    assert {name: (tmp_path / "run" / name).read_bytes() for name in files_below(tmp_path / "run")} == before


def test_out_below_a_file_is_refused(few_pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = call(
        "train",
        "--data",
        few_pictures,
        "--model",
        "mobilenet_v2_050",
        "--weights",
        "none",
        "--out",
        tmp_path / "file/run",
    )
    refused(answer, 1, "E_STORAGE", "a part of the path is a file")


def test_resume_of_nothing_is_refused(few_pictures: Path, tmp_path: Path) -> None:
    words = ("train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--resume", "--out")
    refused(call(*words, tmp_path / "run"), 2, "E_USAGE", "not a run folder")
    trained(tiny(few_pictures, recipe="probe"), tmp_path / "probe")
    refused(call(*words, tmp_path / "probe"), 2, "E_USAGE", "nothing to resume")


def test_flags_that_cannot_count_are_named(few_pictures: Path, tmp_path: Path) -> None:
    words = ("train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32)
    probe = call(*words, "--recipe", "probe", "--mixup", 0.2, "--epochs", 3, "--out", tmp_path / "probe")
    assert probe.code == 0, probe
    assert "note: without effect: --epochs, --mixup (" in probe.err
    again = call("train", "--out", tmp_path / "probe", "--resume", "--epochs", 9)
    assert "note: without effect: --epochs (a run goes on with its own settings)" in again.err


def test_run_that_was_stopped_before_its_first_epoch_is_not_sent_in_a_circle(
    few_pictures: Path, tmp_path: Path
) -> None:
    trained(tiny(few_pictures, recipe="probe"), tmp_path)
    (tmp_path / "metrics.json").unlink()
    words = ("train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--out", tmp_path)
    refused(call(*words, "--resume"), 1, "E_RUN", "before its first epoch", f"remove {tmp_path}")
    answer = call(*words)
    refused(answer, 2, "E_USAGE", "choose another --out")
    assert "--resume" not in answer.last


@pytest.mark.parametrize("damage", ["cut", "another net", "no state"])
def test_resume_from_a_damaged_state_is_refused(few_pictures: Path, tmp_path: Path, damage: str) -> None:
    run = tmp_path / "run"
    trained(tiny(few_pictures), run)
    last = run / LAST
    if damage == "cut":
        last.write_bytes(last.read_bytes()[:-1000])
    elif damage == "no state":
        save_file(load_file(last), last)
    else:
        save_file(load_file(last), last, metadata={"resume": "{"})
    with pytest.raises(RunError, match="cannot resume from it"):
        train(tiny(few_pictures), run, resume=True, reporter=SilentReporter())


def test_wrong_ok_label_is_refused_before_anything_is_decoded(few_pictures: Path, tmp_path: Path) -> None:
    answer = call(
        "train",
        "--data",
        few_pictures,
        "--model",
        "mobilenet_v2_050",
        "--weights",
        "none",
        "--ok",
        "goood",
        "--out",
        tmp_path / "run",
    )
    refused(answer, 2, "E_USAGE", "--ok goood", "ok, stain")
    assert len(answer.err.splitlines()) == 1


def test_learning_rate_that_is_too_large_ends_in_one_line_and_leaves_good_weights(
    few_pictures: Path, tmp_path: Path
) -> None:
    """No clipping of gradients helps where each step is nine times as long as a weight."""
    answer = call("train", "--data", few_pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32,
                  "--epochs", 40, "--patience", 40, "--batch", 4, "--lr", 9.9, "--weight-decay", 0.5, "--out", tmp_path / "run")  # fmt: skip
    refused(answer, 1, "E_TRAINING", "is not a number", "smaller --lr")
    assert read_run(tmp_path / "run").network()
    last = load_file(tmp_path / "run" / LAST)
    assert all(torch.isfinite(tensor).all() for tensor in last.values())


def test_learning_rate_of_almost_nothing_moves_almost_nothing(few_pictures: Path, tmp_path: Path) -> None:
    settings = tiny(few_pictures, learning_rate=1e-30, statistics="keep", epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "one", resume=False, reporter=BreaksOff("epoch 1/2"))
    trained(settings, tmp_path / "run")
    before, after = (load_file(tmp_path / name / LAST) for name in ("one", "run"))
    assert all(torch.allclose(before[n], after[n], atol=1e-9) for n in before if n.startswith("network."))


def test_weights_that_give_no_numbers_are_refused(few_pictures: Path, tmp_path: Path) -> None:
    """Weights that are finite, but so large that what comes out of the net is not."""
    from edgetl.trainer.backbones import describe
    from edgetl.trainer.network import Network

    state = Network(describe("resnet_tiny"), 2, 32).net.state_dict()
    huge = {name: torch.full_like(t, 3e38) if t.ndim == 4 else t.contiguous() for name, t in state.items()}
    save_file(huge, tmp_path / "huge.safetensors")
    answer = call("train", "--data", few_pictures, "--model", "resnet_tiny", "--weights", tmp_path / "huge.safetensors",
                  "--imgsz", 32, "--epochs", 2, "--batch", 8, "--out", tmp_path / "run")  # fmt: skip
    refused(answer, 1, "E_TRAINING", "features that are not numbers")


def test_loss_that_is_no_number_stops_the_run_with_its_place_and_keeps_the_best(
    few_pictures: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trained(tiny(few_pictures), run)
    best = (run / BEST).read_bytes()
    with safe_open(run / LAST, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["network.net.blocks.3.0.conv_pw.weight"].fill_(3e38)
    save_file(tensors, run / LAST, metadata)
    with pytest.raises(TrainingError, match=r"not a number at step \d+ \(epoch 2, batch 1\)"):
        train(tiny(few_pictures, epochs=3), run, resume=True, reporter=SilentReporter())
    assert (run / BEST).read_bytes() == best


def test_disk_that_is_full_at_a_checkpoint_leaves_the_earlier_one_and_the_run_goes_on_later(
    few_pictures: Path, tmp_path: Path, full_disk: Path
) -> None:
    """The run's folder is moved to a disk that has hardly more room than for what is there: a file that replaces another is
    written beside it first."""
    settings = tiny(few_pictures, model="resnet_tiny", epochs=4, patience=4)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "run", resume=False, reporter=BreaksOff("epoch 3/4"))
    size = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    _resize(full_disk, size + 200_000)
    run = Path(shutil.copytree(tmp_path / "run", full_disk / "run"))
    before = {name: (run / name).read_bytes() for name in (str(BEST), str(LAST))}
    answer = call("train", "--out", run, "--resume")
    refused(answer, 1, "E_STORAGE", "the disk is full")
    assert {name: (run / name).read_bytes() for name in before} == before
    assert read_run(run).network() and not read_run(run).record.complete
    assert not [
        path.name for path in run.rglob("*") if path.is_file() and path.relative_to(run).as_posix() not in FILES
    ]
    _resize(full_disk, 20 * size)
    done = call("train", "--out", run, "--resume")
    assert done.code == 0, done.err
    whole = trained(settings, tmp_path / "whole")
    assert read_run(run).record.val_balanced_accuracy == whole.val_balanced_accuracy
    assert (run / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()


def _resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    """Weights that nobody trained, in a file as pretrained ones come."""
    torch.manual_seed(0)
    weights = Network(describe("mobilenet_v2_050"), 7, 32).net.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, tmp_path / "donor.safetensors")
    return tmp_path / "donor.safetensors"


@pytest.mark.parametrize("recipe", ["probe", "finetune"])
def test_pretrained_weights_start_with_a_probe(few_pictures: Path, donor: Path, tmp_path: Path, recipe: str) -> None:
    """Epoch 0 is the probe's: fine-tuning never ends below it."""
    record = trained(tiny(few_pictures, weights=str(donor), recipe=recipe), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert [row["epoch"] for row in rows] == (["0"] if recipe == "probe" else ["0", "1"])
    assert record.val_balanced_accuracy >= round(float(rows[0]["val_balanced_accuracy"]), 6)
    assert record.weights == donor.name
    assert files_below(tmp_path / "run") == (FILES - {str(LAST), "curves.png"} if recipe == "probe" else FILES)
    if recipe == "probe":
        body = {k: v for k, v in load_file(tmp_path / "run" / BEST).items() if "classifier" not in k}
        before = load_file(donor)
        assert all(torch.equal(tensor, before[name.removeprefix("net.")]) for name, tensor in body.items())


def test_run_says_which_recipe_was_chosen_and_why(few_pictures: Path, tmp_path: Path) -> None:
    done = call("train", "--data", few_pictures, "--model", "resnet_tiny", "--weights", "none", "--imgsz", 32, "--batch", 8,
                "--epochs", 1, "--out", tmp_path / "run")  # fmt: skip
    assert "recipe scratch, 1 epochs: " in done.err
    settings = read_run(tmp_path / "run").settings
    assert (settings.recipe, settings.epochs) == ("scratch", 1)
    assert "no pretrained weights" in settings.reasons


@pytest.mark.parametrize("model", ["mobilenet_v2_050", "resnet_tiny"])
def test_training_from_nothing_begins_by_saying_nothing(model: str, few_pictures: Path, tmp_path: Path) -> None:
    """timm draws some nets' heads by the number of classes alone: with two, they begin with logits of ten and more."""
    done = call("train", "--data", few_pictures, "--model", model, "--recipe", "scratch", "--imgsz", 32, "--batch", 8,
                "--epochs", 1, "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    classes = len(read_run(tmp_path / "run").record.rule.labels)
    assert float(rows_of(tmp_path / "run")[0]["val_loss"]) == pytest.approx(math.log(classes), abs=1e-3)


def test_each_piece_of_the_training_reaches_the_settings(few_pictures: Path, tmp_path: Path) -> None:
    """What each does is shown in test_finetune.py."""
    pieces = {"mixup": 0.4, "cutmix": 0.5, "balance": "sampling", "unfreeze": 0.5, "statistics": "learn", "warmup": 0.3,
              "label_smoothing": 0.1, "layer_ratio": 50.0, "layer_decay": 0.7, "weight_decay": 0.1, "patience": 5, "margin": 0.5,
              "augmentation": "texture", "recipe": "finetune", "epochs": 2, "batch": 4, "learning_rate": 0.002}  # fmt: skip
    flags = [word for name, value in pieces.items()
             for word in (f"--{name.replace('_', '-').replace('learning-rate', 'lr')}", value)]  # fmt: skip
    done = call("train", "--data", few_pictures, "--model", "resnet_tiny", "--weights", "none", "--imgsz", 32,
                *flags, "--no-average", "--no-blend", "--no-watch", "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    assert "note: without effect: --layer-ratio (--layer-decay says it)" in done.err
    found = msgspec.to_builtins(read_run(tmp_path / "run").settings)
    expected = {**pieces, "average": False, "blend": False, "watch": False}
    assert {name: found[name] for name in expected} == expected


@pytest.fixture
def knowing(tmp_path: Path) -> Path:
    """The built-in weights as a file that does not say what they learned from, as photographs' weights come."""
    save_file(load_file(builtin_file("mobilenetv2_050")), tmp_path / "knowing.safetensors")
    return tmp_path / "knowing.safetensors"


def _grain(label: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """All of the picture shows the class: fine grain or coarse grain."""
    side = 8 if label else 64
    grain = np.clip(random.normal(128, 30, (side, side)), 0, 255).astype(np.uint8)
    return cv2.merge([cv2.resize(grain, (64, 64), interpolation=cv2.INTER_NEAREST)] * 3)


def _spot(label: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Near the middle is a spot or none."""
    picture = np.clip(random.normal(90, 4, (64, 64, 3)), 0, 255).astype(np.uint8)
    if label:
        x, y = (int(at) for at in random.integers(26, 36, 2))
        cv2.circle(picture, (x, y), 2, (170, 170, 170), -1)
    return picture


@pytest.mark.parametrize(("drawn", "preset"), [(_grain, "natural"), (_spot, "scene")], ids=["all over", "one spot"])
def test_training_changes_pictures_much_where_the_class_is_seen_all_over(
    drawn: Callable[[int, np.random.Generator], NDArray[np.uint8]], preset: str, knowing: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    for label, number in product((0, 1), range(40)):
        save(tmp_path / "parts" / "ab"[label] / f"{number}.png", drawn(label, random))
    trained(tiny(tmp_path / "parts", weights=str(knowing), recipe="finetune", imgsz=64), tmp_path / "run")
    assert read_run(tmp_path / "run").settings.augmentation == preset


def test_who_says_how_pictures_are_changed_is_not_overruled(few_pictures: Path, donor: Path, tmp_path: Path) -> None:
    trained(tiny(few_pictures, weights=str(donor), recipe="finetune", augmentation="texture"), tmp_path / "run")
    settings = read_run(tmp_path / "run").settings
    assert settings.augmentation == "texture"
    assert not any("changed" in reason for reason in settings.reasons), "it looked at what nobody asked for"


def test_mark_in_the_curves_says_where_layers_were_held(tmp_path: Path) -> None:
    """The same figures twice; in one of them more layers are held from the third epoch on."""
    head = "epoch,train_loss,train_accuracy,val_loss,val_balanced_accuracy,learning_rate,seconds,held"
    rows = [f"{n},{1 - n / 10},0.5,{0.5 + n / 10},0.5,0.001,1," for n in range(6)]
    reds = []
    for name, held in (("plain", [0] * 6), ("marked", [0, 0, 0, 4, 4, 4])):
        (tmp_path / "results.csv").write_text(
            "\n".join([head, *(row + str(n) for row, n in zip(rows, held, strict=True))])
        )
        plot_curves(tmp_path / "results.csv", tmp_path / f"{name}.png")
        picture = cv2.imread(str(tmp_path / f"{name}.png")).astype(int)
        reds.append((np.abs(picture - (40, 39, 214)).sum(axis=2) < 60).nonzero())  # matplotlib's tab:red, as BGR
    assert len(reds[0][0]) == 0
    columns = reds[1][1]
    assert len(columns) > 50
    assert int(np.bincount(columns).argmax()) < picture.shape[1] / 2  # beside the losses, not beside the accuracy


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--mixup", -1), ("--mixup", "inf"), ("--cutmix", "nan"), ("--weight-decay", -1), ("--weight-decay", "nan"),
     ("--warmup", 2), ("--epochs", 0), ("--seed", -1), ("--seed", 10**20)],
)  # fmt: skip
def test_piece_that_cannot_be_meant_is_refused(few_pictures: Path, tmp_path: Path, flag: str, value: object) -> None:
    answer = call("train", "--data", few_pictures, "--model", "resnet_tiny", flag, value, "--out", tmp_path / "run")
    refused(answer, 2, "E_USAGE", flag)
    assert not (tmp_path / "run").exists()


def test_picture_in_two_classes_is_left_out_of_both_and_named(few_pictures: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(few_pictures, data)
    first = sorted((data / "ok").iterdir())[0]
    shutil.copy(first, data / "stain" / "copy.png")
    record = trained(tiny(data, model="resnet_tiny"), tmp_path / "run")
    assert {path: "same picture" in why for path, why in record.passed_over.items()} == {
        f"ok/{first.name}": True, "stain/copy.png": True,
    }  # fmt: skip
    assert not {s.path for s in read_run(tmp_path / "run").splits} & set(record.passed_over)


def test_class_that_is_missing_from_val_gets_pictures_of_train(few_pictures: Path, tmp_path: Path) -> None:
    for label in ("ok", "stain"):
        shutil.copytree(few_pictures / label, tmp_path / "data/train" / label)
    (tmp_path / "data/val/ok").mkdir(parents=True)
    for path in sorted((tmp_path / "data/train/ok").iterdir())[:2]:
        shutil.move(path, tmp_path / "data/val/ok")
    done = call("train", "--data", tmp_path / "data", "--model", "resnet_tiny", "--weights", "none", "--imgsz", 32,
                "--batch", 8, "--epochs", 1, "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    assert "val has no picture of class stain: some are taken from train" in done.err
    val = [s for s in read_run(tmp_path / "run").splits if s.split == "val"]
    assert {s.label for s in val} == {"ok", "stain"}
    assert {s.path.split("/")[0] for s in val if s.label == "stain"} == {"train"}


def test_one_class_is_nothing_to_tell_apart(few_pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(few_pictures / "ok", tmp_path / "data/ok")
    answer = call(
        "train",
        "--data",
        tmp_path / "data",
        "--model",
        "mobilenet_v2_050",
        "--weights",
        "none",
        "--out",
        tmp_path / "run",
    )
    refused(answer, 2, "E_DATASET", "only one class (ok)")


def test_class_of_damaged_pictures_is_named(few_pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(few_pictures, tmp_path / "data")
    for i in range(8):
        path = tmp_path / f"data/broken/{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no picture")
    answer = call(
        "train",
        "--data",
        tmp_path / "data",
        "--model",
        "mobilenet_v2_050",
        "--weights",
        "none",
        "--imgsz",
        32,
        "--out",
        tmp_path / "run",
    )
    refused(answer, 2, "E_DATASET", "no picture of class broken can be read")
    assert answer.err.count("passed over: broken/") == 8


def test_damaged_picture_is_passed_over_and_recorded(few_pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(few_pictures, tmp_path / "data")
    (tmp_path / "data/ok/cut.jpg").write_bytes(next((few_pictures / "ok").iterdir()).read_bytes()[:1500])
    record = trained(tiny(tmp_path / "data"), tmp_path / "run")
    assert list(record.passed_over) == ["ok/cut.jpg"]
    assert sum(record.pictures.values()) == 16
    assert read_run(tmp_path / "run").record.passed_over == record.passed_over


def test_picture_in_train_and_in_test_is_warned_of(few_pictures: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(few_pictures, data / "train")
    shutil.copytree(few_pictures, data / "test")
    answer = call("train", "--data", data, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32, "--epochs", 1, "--batch", 8,
                  "--out", tmp_path / "run")  # fmt: skip
    assert re.search(r"warning: \d+ pictures of test are also in train, first test/ok/", answer.err), answer.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--epochs", 0), ("--batch", 1), ("--imgsz", 16), ("--imgsz", 5000), ("--lr", 0), ("--lr", "nan"), ("--layer-decay", 0),
     ("--region", "0.5,0,0.2,1"), ("--region", "0,0,1"), ("--region", "a,b,c,d"), ("--recipe", "magic"), ("--device", "gpuu"), ("--device", "xpu:7")],
)  # fmt: skip
def test_setting_that_cannot_be_meant_is_refused(
    few_pictures: Path, tmp_path: Path, option: str, value: object
) -> None:
    words = [
        "train",
        "--data",
        few_pictures,
        "--model",
        "mobilenet_v2_050",
        "--weights",
        "none",
        "--out",
        tmp_path / "run",
    ]
    answer = call(*words, option, value)
    assert answer.code == 2, answer
    assert "Traceback" not in answer.err
    assert option in answer.err or option.removeprefix("--") in answer.err


@pytest.mark.parametrize("name", ["metrics.json", "splits.json"])
def test_run_that_lacks_a_piece(small_run: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / name).unlink()
    with pytest.raises(RunError, match=f"{name}: missing"):
        read_run(run)
    shutil.copy(small_run / name, run / name)
    (run / name).write_text('{"format": 1')
    with pytest.raises(RunError, match="damaged"):
        read_run(run)


@pytest.mark.parametrize(
    "content",
    [b"epochs: [", b"data: x\nmodel: y\nunknown: 1\n", b"", b"data: \xe9\n"],
    ids=["cut off", "of another version", "empty", "of other letters"],
)
def test_damaged_settings(small_run: Path, tmp_path: Path, content: bytes) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / "args.yaml").write_bytes(content)
    with pytest.raises(RunError, match="damaged") as caught:
        read_run(run)
    assert "\n" not in str(caught.value)


def test_run_of_another_format_or_none_at_all(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        read_run(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    record = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**record, "format": 2}))
    with pytest.raises(RunError, match="run format 2"):
        read_run(run)


@pytest.mark.fault("M6")
@pytest.mark.parametrize("damage", ["missing", "cut", "another net", "nan"])
def test_run_with_damaged_weights(small_run: Path, tmp_path: Path, damage: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    path, state = run / BEST, load_file(run / BEST)
    words = str(BEST)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:10_000])
    elif damage == "nan":
        words = "net.conv_stem.weight holds a value that is not finite"
        state["net.conv_stem.weight"][3, 1, 0, 0] = float("nan")
        save_file(state, path)
    else:
        save_file({name: tensor for name, tensor in state.items() if "blocks.3" not in name}, path)
    with pytest.raises(RunError, match=re.escape(words)) as caught:
        read_run(run).network()
    assert "\n" not in str(caught.value)


def test_going_on_from_a_run_keeps_its_settings_weights_and_splits(few_pictures: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    trained(tiny(few_pictures, patience=7, layer_ratio=None), first)
    data = tmp_path / "more"
    shutil.copytree(few_pictures, data)
    for label in sorted(p for p in data.iterdir() if p.is_dir()):
        for i in range(8):
            save(label / f"new{i}.png", noise(64, seed=100 + i + len(label.name)))
    done = call("train", "--from", first, "--data", data, "--epochs", 1, "--out", second)
    assert done.code == 0, done.err
    before, after = read_run(first), read_run(second)
    anew = {"recipe": after.settings.recipe, "reasons": after.settings.reasons, "margin": after.settings.margin,
            "learning_rate": after.settings.learning_rate}  # fmt: skip
    assert after.settings == msgspec.structs.replace(
        before.settings, data=str(data), epochs=1, start=str(first), **anew
    )
    assert before.settings.recipe == "scratch" != after.settings.recipe and before.settings.rate > after.settings.rate
    assert after.record.weights == "run:first"
    was = {s.sha256: s.split for s in before.splits}
    now = {s.sha256: s.split for s in after.splits}
    assert {sha: now[sha] for sha in was} == was and len(now) > len(was)


def test_going_on_with_another_model_is_refused(few_pictures: Path, tmp_path: Path) -> None:
    trained(tiny(few_pictures), tmp_path / "first")
    done = call(
        "train", "--from", tmp_path / "first", "--data", few_pictures, "--model", "resnet18", "--out", tmp_path / "x"
    )
    refused(done, 1, "E_WEIGHTS", "leave --model out")


def test_a_model_or_a_run_to_go_on_from_is_needed(few_pictures: Path, tmp_path: Path) -> None:
    refused(call("train", "--data", few_pictures, "--out", tmp_path / "x"), 2, "E_USAGE", "--model", "--from")
