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
from edgetl.trainer.blending import SHARES
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
    return found.found


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
        (GAINED, LOST, Gain(GAINED, 0.5, "halves")),
        (LOST, GAINED, Gain(LOST, 0.5, "halves")),
        (UNCLEAR, GAINED, Gain(GAINED, 1.0, "fifths")),
        (UNCLEAR, UNCLEAR, Gain(UNCLEAR, 1.0, "fifths")),
    ],
)
def test_fifths_are_asked_only_where_halves_do_not_tell(
    by_halves: Improvement, by_fifths: Improvement, expected: Gain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what trainings come to given, since which of these it is hangs on the machine."""
    given = {HALVES: Gain(by_halves, 0.5, "halves"), FIFTHS: Gain(by_fifths, 1.0, "fifths")}
    monkeypatch.setattr(parts_of_train, "gain_on", lambda parts, *_: given[parts])
    found = gain_unseen(settings(), network(), colours(2, told=True), torch.device("cpu"), SilentReporter())
    assert found == expected and found.shown == (found.found is GAINED)


def test_fifths_judge_each_picture_once_by_nets_that_saw_the_rest() -> None:
    assert sorted(fold for part in FIFTHS.folds for fold in part) == sorted(
        fold for part in HALVES.folds for fold in part
    )
    few = gain_on(FIFTHS, settings(), network(), colours(12, told=True), torch.device("cpu"), SilentReporter())
    assert few.found.beyond(2.0) and few.parts == "fifths"


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
    learns = shown(decided, Gain(Improvement(0.02, 0.03, 0.3, 0.1), 0.75, "halves"))
    assert (learns.recipe, learns.margin, learns.blend_least) == ("finetune", -1.0, 0.75)
    assert learns.reasons == (
        "few",
        "on halves of train that the nets did not see balanced accuracy +2.0 ± 3.0 points, loss -0.300 ± 0.100: a gain",
        "best 75% of the way from the head to the last epoch, so at least that far",
    )
    stays = shown(decided, Gain(Improvement(0.02, 0.03, 0.1, 0.1), 0.75, "fifths"))
    assert learns.left_open == ("blend_least",)
    for asked in (settings(blend=False), settings(blend_least=0.25)):
        kept = shown(asked, Gain(GAINED, 0.75, "halves"))
        assert (kept.blend, kept.blend_least, kept.left_open) == (asked.blend, asked.blend_least, ())
    assert stays.recipe == "probe" and stays.reasons[-1].endswith("no gain, so a head alone")
    assert msgspec.structs.replace(stays, recipe="finetune", reasons=()) == msgspec.structs.replace(decided, reasons=())


@pytest.mark.parametrize(
    ("told", "ends_as", "by_hand"), [(True, "a gain", "finetune"), (False, "no gain, so a head alone", "probe")]
)
def test_auto_does_what_parts_of_train_show_and_gives_the_run_that_naming_it_all_gives(
    told: bool, ends_as: str, by_hand: Recipe, tmp_path: Path
) -> None:
    data = colours(24, told, val=0).data
    for number, (image, target) in enumerate(zip(data.images, data.targets, strict=True)):
        save(tmp_path / "data" / data.labels[target] / f"{number}.png", image[:, :, ::-1])
    torch.manual_seed(0)
    weights = tmp_path / "blind.safetensors"
    save_file(blind(Network(describe("resnet_tiny"), 2, SIDE)).net.state_dict(), weights)
    asked = settings(data=str(tmp_path / "data"), weights=str(weights), recipe="auto", margin=None, balance="none")
    train(asked, tmp_path / "auto", resume=False, reporter=SilentReporter())
    run = read_run(tmp_path / "auto").settings
    assert run.recipe == by_hand and any(reason.endswith(ends_as) for reason in run.reasons)
    assert (run.blend_least in SHARES) is told
    named = msgspec.structs.replace(asked, recipe=by_hand, blend_least=run.blend_least)
    train(named, tmp_path / by_hand, resume=False, reporter=SilentReporter())
    assert (tmp_path / "auto" / BEST).read_bytes() == (tmp_path / by_hand / BEST).read_bytes()
