"""Another picture size than in training is taken where it is clearly better, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgetl.exporter.deployed import Deployed
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.backbones import describe
from edgetl.trainer.input_size import choose_size, other_sizes, takes
from edgetl.trainer.network import Network, pixels_of
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused
from tests.runtime.pictures import save


def test_sizes_are_near_and_multiples_of_what_nets_reduce_by() -> None:
    assert other_sizes(224) == (160, 192, 256, 288, 320)
    assert other_sizes(64) == (96,)
    assert 32 not in other_sizes(32) and all(32 <= n <= 1024 for size in (32, 1024) for n in other_sizes(size))


def test_transformers_take_no_other_size() -> None:
    assert takes(Network(describe("resnet_tiny"), 2, 64), 96)
    assert not takes(Network(describe("vit_tiny"), 2, 64), 96)


class FineDetail(nn.Module):
    """Sees stripes that are a few pixels wide, and so finds more of them the larger the picture is: below that it guesses."""

    def __init__(self, from_size: int) -> None:
        super().__init__()
        self.from_size = from_size

    def forward(self, pixels: Tensor) -> Tensor:
        striped = (pixels[..., 1:] - pixels[..., :-1]).abs().mean(dim=(1, 2, 3)) > 0.02
        sees = pixels.shape[-1] >= self.from_size
        evidence = (striped.float() * 2 - 1) * (4.0 if sees else 0.0)
        return torch.stack([-evidence, evidence], dim=1)


@pytest.fixture(scope="module")
def plates(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[str], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Twelve plain and twelve striped plates."""
    root, paths = tmp_path_factory.mktemp("plates"), []
    for i in range(24):
        image = np.full((256, 256, 3), 100 + i, np.uint8)
        if i % 2:
            image[:, ::32] = 200
        save(root / f"{i}.png", image)
        paths.append(f"{i}.png")
    return root, paths, np.arange(24) % 2


def seeing(from_size: int) -> Network:
    network = Network(describe("resnet_tiny"), 2, 64)
    network.net = FineDetail(from_size)
    return network


@pytest.mark.parametrize(("from_size", "chosen"), [(90, 96), (80, 96), (32, None), (5000, None)])
def test_size_from_which_it_sees_is_taken_and_none_where_all_are_alike(
    plates: tuple[Path, list[str], np.ndarray[tuple[int], np.dtype[np.int64]]], from_size: int, chosen: int | None
) -> None:
    found = choose_size(seeing(from_size), *plates, Preprocessing(size=64), SilentReporter())
    assert (found.size if found else None) == chosen
    assert found is None or found.accuracy == 1.0


def test_run_tells_of_every_size_and_all_that_follows_uses_the_chosen_one(few_pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "--data", few_pictures, "--model", "resnet_tiny", "--weights", "none", "--imgsz", 64, "--epochs", 1,
             "--batch", 8)  # fmt: skip
    done = call(*words, "--choose-imgsz", "--out", run)
    assert done.code == 0, done.err
    for size in other_sizes(64):
        assert f"at {size} px: val balanced accuracy" in done.err
    record = json.loads((run / "metrics.json").read_text())
    record["preprocessing"]["size"] = 96  # as if it had been clearly better
    (run / "metrics.json").write_text(json.dumps(record))
    network = read_run(run).network()
    assert network.size == 96
    image = preprocess(read_picture(next((few_pictures / "ok").iterdir())), read_run(run).record.preprocessing)
    assert image.shape == (96, 96, 3)
    pixels = pixels_of(torch.from_numpy(image[None]))
    with torch.inference_mode():
        assert torch.allclose(Deployed(network)(pixels), network(pixels), atol=1e-3)
    judged = call("evaluate", run, "--data", few_pictures, "--split", "all", "--json")
    assert judged.code == 0, judged.err
    assert call("report", run, "--split", "all").code == 0
    refused(
        call(*words, "--recipe", "one-class", "--choose-imgsz", "--out", tmp_path / "x"), 2, "E_USAGE", "--choose-imgsz"
    )
