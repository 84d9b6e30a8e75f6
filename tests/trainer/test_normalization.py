"""What weights expect of their input travels from their file, or from a flag, into everything that follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from edgetl.errors import UsageError, WeightsError
from edgetl.exporter.deployed import Deployed
from edgetl.trainer.backbones import describe
from edgetl.trainer.embedding.extractor import Looking, extractor_of
from edgetl.trainer.network import Network
from edgetl.trainer.normalization import NAMED, Normalization, normalization_of, noted
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import read_run
from edgetl.trainer.settings import Settings
from edgetl.trainer.training import train
from edgetl.trainer.weights import load_into
from tests.cli.calling import call, refused

OTHER = NAMED["imagenet"]  # its own is inception
NET = "resnet_tiny"


def weights_file(folder: Path, metadata: dict[str, str] | None, name: str = "w.safetensors") -> Path:
    torch.manual_seed(0)
    state = {k: v.contiguous() for k, v in Network(describe(NET), 2, 32).net.state_dict().items()}
    if name.endswith(".pth"):
        torch.save(state, folder / name)
    else:
        save_file(state, folder / name, metadata)
    return folder / name


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("auto", None),
        ("imagenet", describe("mobilenet_v2").normalization),
        ("inception", describe("efficientnet_lite0").normalization),
        ("0.1,0.2,0.3/0.4,0.5,0.6", Normalization((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))),
    ],
)
def test_words_and_numbers(asked: str, found: Normalization | None) -> None:
    assert normalization_of(asked) == found


@pytest.mark.parametrize(
    "asked", ["half", "0.5", "0.5,0.5,0.5", "0,0,0/1,1", "0,0,0/1,0,1", "0,0,0/1,1,nan", "a,b,c/1,1,1"]
)
def test_what_cannot_be_meant_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="--normalization"):
        normalization_of(asked)


@torch.inference_mode()
def test_minus_one_to_one_is_what_inception_means() -> None:
    network = Network(describe(NET), 2, 32)
    network.expect(NAMED["inception"])
    ends = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 3, 32, 32)
    normal = (ends - network.mean) / network.scale
    assert torch.equal(normal[0], -torch.ones(3, 32, 32)) and torch.equal(normal[1], torch.ones(3, 32, 32))


@pytest.mark.parametrize("form", ["({})", "[{}]", "{}"])
def test_file_that_notes_what_it_expects_gets_it(tmp_path: Path, form: str) -> None:
    network = Network(describe(NET), 2, 32)
    assert network.backbone.normalization != OTHER
    note = {"mean": form.format("0.485, 0.456, 0.406"), "std": form.format("0.229, 0.224, 0.225")}
    load_into(network, str(weights_file(tmp_path, note)))
    assert network.backbone.normalization == OTHER
    assert network.mean.flatten().tolist() == pytest.approx([255 * m for m in OTHER.mean])
    assert network.scale.flatten().tolist() == pytest.approx([255 * s for s in OTHER.std])


def test_flag_beats_what_the_file_notes(tmp_path: Path) -> None:
    network = Network(describe(NET), 2, 32)
    noting = {"mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5"}
    load_into(network, str(weights_file(tmp_path, noting)), "unit")
    assert network.backbone.normalization == NAMED["unit"]


@pytest.mark.parametrize(
    "metadata", [{"mean": "(0.5, 0.5)", "std": "1,1,1"}, {"mean": "0,0,0"}, {"mean": "?", "std": "?"}]
)
def test_note_that_says_nothing_is_named(tmp_path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match=r"w\.safetensors: its metadata notes .*--normalization"):
        load_into(Network(describe(NET), 2, 32), str(weights_file(tmp_path, metadata)))


def test_other_notes_say_nothing_of_it() -> None:
    assert noted({"format": "pt"}) is None


def trained(folder: Path, few_pictures: Path, weights: Path, **changes: object) -> Path:
    plain = {"data": str(few_pictures), "model": NET, "weights": str(weights), "imgsz": 32, "epochs": 1, "batch": 8,
             "recipe": "probe", "device": "cpu"}  # fmt: skip
    train(Settings(**{**plain, **changes}), folder, resume=False, reporter=SilentReporter())  # type: ignore[arg-type]
    return folder


def test_it_travels_into_the_run_and_the_graph_that_ships(few_pictures: Path, tmp_path: Path) -> None:
    """The same file, said to expect two things, gives two runs: one answers as the other does to pixels moved alike."""
    file = weights_file(tmp_path, None, "w.pth")
    plain = trained(tmp_path / "plain", few_pictures, file)
    other = trained(tmp_path / "other", few_pictures, file, normalization="imagenet")
    assert yaml.safe_load((other / "args.yaml").read_text())["normalization"] == "imagenet"
    assert read_run(other).record.normalization == OTHER != read_run(plain).record.normalization
    network = read_run(other).network().requires_grad_(False)
    assert network.backbone.normalization == OTHER
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (OTHER.mean, OTHER.std))
    expected = network.net((pixels / 255 - mean) / std)
    assert torch.allclose(network(pixels), expected, atol=1e-4)
    assert torch.allclose(Deployed(network)(pixels), expected, atol=1e-4)
    usual = Network(network.backbone.expecting(NAMED["inception"]), 2, 32).eval().requires_grad_(False)
    usual.load_state_dict(network.state_dict())
    assert not torch.allclose(usual(pixels), expected, atol=1e-2)  # it does make a difference


def test_a_run_that_goes_on_from_it_expects_the_same(few_pictures: Path, tmp_path: Path) -> None:
    first = trained(tmp_path / "first", few_pictures, weights_file(tmp_path, None, "w.pth"), normalization="imagenet")
    done = call("train", "--from", first, "--data", few_pictures, "--recipe", "probe", "--out", tmp_path / "second")
    assert done.code == 0, done.err
    assert read_run(tmp_path / "second").record.normalization == OTHER
    answer = call("train", "--from", first, "--data", few_pictures, "--normalization", "unit", "--out", tmp_path / "x")
    refused(answer, 2, "E_USAGE", "leave --normalization out")
    answer = call("train", "--from", first, "--data", few_pictures, "--weights", "builtin", "--out", tmp_path / "x")
    refused(answer, 2, "E_USAGE", "leave --weights out")


def test_run_from_before_there_was_a_choice_has_the_usual_one(few_pictures: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", few_pictures, weights_file(tmp_path, None, "w.pth"))
    record = json.loads((run / "metrics.json").read_text())
    del record["normalization"]
    (run / "metrics.json").write_text(json.dumps(record))
    assert read_run(run).network().backbone == describe(NET)


@torch.inference_mode()
def test_embedding_knows_it_too(tmp_path: Path) -> None:
    file, cpu = str(weights_file(tmp_path, None, "w.pth")), torch.device("cpu")
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    nets = [
        extractor_of(NET, file, Looking(size=32, normalization=n), cpu).net for n in ("auto", "imagenet", "inception")
    ]
    for net in nets:
        net.eval()
    usual, other, same = (net.features(pixels) for net in nets)
    assert torch.equal(usual, same) and not torch.allclose(usual, other, atol=1e-2)
    with pytest.raises(UsageError, match="brings its own normalization; give none"):
        extractor_of("clip:ViT-B-32", "none", Looking(normalization="unit"), cpu)
