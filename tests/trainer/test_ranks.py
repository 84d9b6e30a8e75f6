"""Several processes of torchrun train the net that one process trains with the same batch."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edgetl.runtime.files import cache_folder
from edgetl.trainer.augment import PRESETS, Part, augment
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.ranks import ALONE, Rank
from edgetl.trainer.run_folder import BEST, LAST, read_run
from tests.cli.calling import call
from tests.trainer.processes import torchrun

PROGRAM = """
import sys, torch
from torch import nn
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.ranks import joined
with joined("cpu") as rank:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(144)).double()
    pixels, weights = torch.randn(7, 3, 8, 8).double(), torch.randn(7, 144).double()
    with rank.shared_statistics():
        found = net(pixels[rank.share])
    (found * weights[rank.share]).square().sum().backward()
    rank.add_gradients(net.parameters())
    answers = rank.gathered(torch.arange(7).numpy(), lambda rows: torch.from_numpy(rows).float()[:, None])
    if rank.first:
        torch.save([*[p.grad for p in net.parameters()], *net.buffers(), answers], sys.argv[1])
"""


def test_batch_norm_and_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """In double precision, seven pictures for three processes: exactly, running statistics too."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    alone = [sys.executable, str(program), str(tmp_path / "one.pt")]
    shared = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3", str(program), str(tmp_path / "three.pt")]  # fmt: skip
    for words in (alone, shared):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
    one, three = (torch.load(tmp_path / name, weights_only=True) for name in ("one.pt", "three.pt"))
    assert len(one) == len(three) == 13
    for ours, theirs in zip(three, one, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


SHORT = """
import sys, numpy as np, torch
from edgetl.errors import TrainingError
from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.network import Network
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.ranks import joined
from edgetl.trainer.settings import Settings
def full(module, args):
    raise torch.OutOfMemoryError("CUDA out of memory")
with joined("cpu") as rank:
    numbers = np.random.default_rng(0)
    data = TrainingData(numbers.integers(0, 256, (24, 32, 32, 3), np.uint8), np.arange(24) % 2,
                        np.array(["train", "train", "val", "val"] * 6), ("a", "b"))
    asked = Settings(data="", model="resnet_tiny", weights="none", recipe="finetune", imgsz=32, epochs=1, batch=6, device="cpu",
                     augmentation="none", statistics="learn")
    state = Finetuning(Network(describe("resnet_tiny"), 2, 32), data, asked, rank.device, rank=rank)
    if not rank.first:
        state.network.net.layer4.register_forward_pre_hook(lambda net, args: full(net, args) if net.training else None)
    try:
        state.run(lambda *_: None, SilentReporter())
    except TrainingError as error:
        sys.exit(f"process {rank.number}: {error}")
"""


def test_process_without_memory_ends_all_that_learn_statistics_with_it(tmp_path: Path) -> None:
    """The other waits for it in the midst of a batch, where it cannot be told."""
    program = tmp_path / "program.py"
    program.write_text(SHORT)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    told = next(line for line in done.stderr.splitlines() if line.startswith("process 1: "))
    assert "cannot be halved where several processes learn its statistics together; choose a smaller --batch" in told


@pytest.mark.parametrize("preset", ["natural", "scene", "texture", "part"])
def test_picture_of_a_share_is_changed_as_it_is_in_the_whole_batch(preset: str) -> None:
    pixels = 255 * torch.rand(7, 3, 24, 24)
    whole = augment(pixels, PRESETS[preset], torch.Generator().manual_seed(3))
    for number in range(3):
        share = Rank(torch.device("cpu"), number, 3).share
        mine = augment(pixels[share], PRESETS[preset], torch.Generator().manual_seed(3), Part(share, 7))
        assert torch.allclose(mine, whole[share], atol=1e-4)


def test_alone_nothing_is_sent() -> None:
    rows = np.arange(5)
    assert ALONE.share == slice(0, None, 1)
    assert ALONE.agreed("x") == "x"
    assert torch.equal(ALONE.gathered(rows, lambda mine: torch.from_numpy(mine)[:, None]), torch.arange(5)[:, None])


def rows_of(run: Path) -> list[dict[str, float]]:
    with (run / "results.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_processes_train_the_net_of_one(small_data: Path, tmp_path: Path) -> None:
    """A probe, then all layers: classes of different size, a last batch of one odd picture, augmentation, averaged weights."""
    data, weights = tmp_path / "data", tmp_path / "w.safetensors"
    for label, count in (("ok", 16), ("stain", 9), ("scratch", 12)):
        (data / label).mkdir(parents=True)
        for path in sorted((small_data / "train" / label).iterdir())[:count]:
            shutil.copy(path, data / label)
    torch.manual_seed(0)
    save_file(Network(describe("resnet_tiny"), 3, 32).net.state_dict(), weights)
    words = ("train", "--data", data, "--model", "resnet_tiny", "--weights", weights, "--recipe", "finetune", "--imgsz", 32,
             "--batch", 6, "--epochs", 3, "--lr", 0.0003, "--device", "cpu", "--json")  # fmt: skip
    shared = torchrun(2, *words, "--out", tmp_path / "two")
    assert shared.returncode == 0, shared.stderr
    shutil.rmtree(cache_folder() / "features")  # else the second run would only repeat the first one's features
    alone = call(*words, "--out", tmp_path / "one")
    assert alone.code == 0, alone.err
    assert len(shared.stdout.splitlines()) == 1  # only the first process speaks
    one, two = read_run(tmp_path / "one"), read_run(tmp_path / "two")
    assert two.splits == one.splits
    assert (two.record.best_epoch, two.record.blend) == (one.record.best_epoch, one.record.blend)
    for ours, theirs in zip(rows_of(tmp_path / "two"), rows_of(tmp_path / "one"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3, nan_ok=True)
    for file in (BEST, LAST):
        ours, theirs = load_file(tmp_path / "two" / file), load_file(tmp_path / "one" / file)
        assert ours.keys() == theirs.keys()
        for name in (name for name in theirs if not name.startswith("optimizer.")):
            # A random net's features hardly differ, so that a head fitted to them has weights of a thousand beside those of one.
            least = 1e-3 * max(1.0, float(theirs[name].abs().max()))
            assert torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=least), (file, name)
    before, after = load_file(weights), load_file(tmp_path / "two" / LAST)
    assert not all(torch.allclose(after[f"network.net.{n}"], t, atol=1e-4) for n, t in before.items())  # it did learn
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


def files_of(run: Path) -> list[str]:
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*"))
