"""Figures for TensorBoard, where they are asked for."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import torch

from edgetl.trainer.run_folder import LAST
from tests.cli.calling import call, refused

WORDS = ("--model", "resnet_tiny", "--weights", "none", "--imgsz", 32, "--batch", 16, "--device", "cpu")


def scalars(run: Path) -> dict[str, dict[int, float]]:
    from edgetl.trainer.tensorboard import FOLDER, require_tensorboard

    require_tensorboard()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / FOLDER))
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_board_holds_the_figures_of_every_epoch_and_goes_on_after_a_break(small_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = call("train", "--data", small_data / "train", *WORDS, "--epochs", 2, "--tensorboard", "--out", run)
    assert done.code == 0, done.err
    with (run / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = scalars(run)
    assert {step: pytest.approx(value, rel=1e-4) for step, value in found["loss/val"].items()} == {
        int(row["epoch"]): float(row["val_loss"]) for row in rows
    }
    assert sorted(found["loss/train"]) == [1, 2]
    assert (run / LAST).exists()
    again = call("train", "--out", run, "--resume")
    assert again.code == 0, again.err
    assert scalars(run)["loss/val"].keys() == found["loss/val"].keys()
    assert "tensorflow" not in sys.modules


def test_without_the_flag_there_is_none(small_run: Path) -> None:
    assert not (small_run / "tensorboard").exists()


def test_missing_tensorboard_is_said_before_anything_is_decoded(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.utils, "tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    answer = call("train", "--data", small_data, *WORDS, "--tensorboard", "--out", tmp_path / "run")
    refused(answer, 3, "E_MISSING_PART", "pip install 'edgetl[tensorboard]'")
