"""Where val has too few pictures of a class, parts of the training pictures say whether layers should learn."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgetl.trainer import parts_of_train
from edgetl.trainer.backbones import describe
from edgetl.trainer.choosing import shown
from edgetl.trainer.data import TrainingData
from edgetl.trainer.improvement import Improvement
from edgetl.trainer.network import Network
from edgetl.trainer.parts_of_train import FIFTHS, HALVES, Gain, gain_on, gain_unseen
from edgetl.trainer.preparation import Prepared
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.recipe import Recipe
from edgetl.trainer.run_folder import BEST, read_run
from edgetl.trainer.settings import Settings
from edgetl.trainer.training import train
from tests.runtime.pictures import save

SIDE = 32


def settings(**changes: object) -> Settings:
    plain = {"data": "", "model": "resnet_tiny", "recipe": "finetune", "imgsz": SIDE, "epochs": 12, "batch": 16, "device": "cpu",
             "augmentation": "none", "balance": "sampling", "learning_rate": 4e-3, "layer_ratio": 1.0, "margin": 2.0}  # fmt: skip
    return Settings(**{**plain, **changes})  # type: ignore[arg-type]


def colours(each: int, told: bool, val: int = 2) -> Prepared:
    """Red and green pictures of some brightness; where nothing is `told`, with labels by chance."""
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 40, (2 * (each + val), SIDE, SIDE, 3), np.uint8)
    targets = np.arange(len(images)) % 2
    for picture, colour in zip(images, targets if told else numbers.permutation(targets), strict=True):
        picture[:, :, colour] += np.uint8(numbers.integers(60, 200))
    splits = np.array(["train"] * 2 * each + ["val"] * 2 * val)
    data = TrainingData(images, targets, splits, ("red", "green"))
    return Prepared(data, list(range(len(images))), [], {})


def blind(network: Network) -> Network:
    """The network when it sees blue alone, which tells nothing here."""
    with torch.no_grad():
        next(p for p in network.parameters() if p.ndim == 4)[:, :2] = 0
    return network


def network() -> Network:
    torch.manual_seed(0)
    return blind(Network(describe("resnet_tiny"), 2, SIDE))


def gain(prepared: Prepared, **changes: object) -> Improvement:
    began = network()
    before = {name: value.clone() for name, value in began.state_dict().items()}
    found = gain_on(HALVES, settings(**changes), began, prepared, torch.device("cpu"), SilentReporter())
    assert all(torch.equal(before[name], value) for name, value in began.state_dict().items()), "it stays as it began"
    return found


@pytest.mark.parametrize("blend", [True, False])
def test_layers_that_learn_what_frozen_ones_do_not_see_are_a_gain(blend: bool) -> None:
    assert gain(colours(30, told=True), blend=blend).beyond(2.0)


def test_labels_by_chance_are_no_gain() -> None:
    assert not gain(colours(30, told=False)).beyond(1.0)


GAINED, LOST, UNCLEAR = (
    Improvement(0.1, 0.02, 0.3, 0.1),
    Improvement(0.0, 0.02, -0.3, 0.1),
    Improvement(-0.1, 0.05, 0.05, 0.1),
)


@pytest.mark.parametrize(
    ("by_halves", "by_fifths", "expected"),
    [
        (GAINED, LOST, Gain(GAINED, "halves")),
        (LOST, GAINED, Gain(LOST, "halves")),
        (UNCLEAR, GAINED, Gain(GAINED, "fifths")),
        (UNCLEAR, UNCLEAR, Gain(UNCLEAR, "fifths")),
    ],
)
def test_fifths_are_asked_only_where_halves_do_not_tell(
    by_halves: Improvement, by_fifths: Improvement, expected: Gain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what trainings come to given, since which of these it is hangs on the machine."""
    monkeypatch.setattr(parts_of_train, "gain_on", lambda parts, *_: {HALVES: by_halves, FIFTHS: by_fifths}[parts])
    found = gain_unseen(settings(), network(), colours(2, told=True), torch.device("cpu"), SilentReporter())
    assert found == expected and found.shown == (found.found is GAINED)


def test_fifths_judge_each_picture_once_by_nets_that_saw_the_rest() -> None:
    assert sorted(fold for part in FIFTHS for fold in part) == sorted(fold for part in HALVES for fold in part)
    few = gain_on(FIFTHS, settings(), network(), colours(12, told=True), torch.device("cpu"), SilentReporter())
    assert few.beyond(2.0)


def test_loss_that_rose_by_more_than_luck_is_clearly_worse() -> None:
    assert Improvement(0.0, 0.1, -0.2, 0.1).clearly_worse
    assert not Improvement(-0.1, 0.05, -0.1, 0.1).clearly_worse and not Improvement(0.0, 0.1, 0.2, 0.1).clearly_worse


def test_val_and_test_take_no_part() -> None:
    prepared = colours(20, told=True)
    otherwise = colours(20, told=True)
    there = otherwise.data.rows("val")
    otherwise.data.images[there] = 0
    assert gain(prepared, epochs=1) == gain(otherwise, epochs=1)


def test_gain_lets_layers_learn_unless_val_speaks_clearly_against_it_and_none_leaves_the_head() -> None:
    decided = settings(margin=2.0, reasons=("few",))
    learns = shown(decided, Gain(Improvement(0.02, 0.03, 0.3, 0.1), "halves"))
    assert (learns.recipe, learns.margin) == ("finetune", -1.0)
    assert learns.reasons == (
        "few",
        "on halves of train that the nets did not see balanced accuracy +2.0 ± 3.0 points, loss -0.300 ± 0.100: a gain",
    )
    stays = shown(decided, Gain(Improvement(0.02, 0.03, 0.1, 0.1), "fifths"))
    assert stays.recipe == "probe" and stays.reasons[-1].endswith("no gain, so a head alone")
    assert msgspec.structs.replace(stays, recipe="finetune", reasons=()) == msgspec.structs.replace(decided, reasons=())


@pytest.mark.parametrize(
    ("told", "ends_as", "by_hand"), [(True, "a gain", "finetune"), (False, "no gain, so a head alone", "probe")]
)
def test_auto_does_what_halves_show_and_gives_the_run_that_naming_the_recipe_gives(
    told: bool, ends_as: str, by_hand: Recipe, tmp_path: Path
) -> None:
    data = colours(24, told, val=0).data
    for number, (image, target) in enumerate(zip(data.images, data.targets, strict=True)):
        save(tmp_path / "data" / data.labels[target] / f"{number}.png", image[:, :, ::-1])
    torch.manual_seed(0)
    weights = tmp_path / "blind.safetensors"
    save_file(blind(Network(describe("resnet_tiny"), 2, SIDE)).net.state_dict(), weights)
    recipes: tuple[Recipe, ...] = ("auto", by_hand)
    for recipe in recipes:
        asked = settings(data=str(tmp_path / "data"), weights=str(weights), recipe=recipe, margin=None, balance="none")
        train(asked, tmp_path / recipe, resume=False, reporter=SilentReporter())
    run = read_run(tmp_path / "auto").settings
    assert run.recipe == by_hand and run.reasons[-1].endswith(ends_as)
    assert (tmp_path / "auto" / BEST).read_bytes() == (tmp_path / by_hand / BEST).read_bytes()
