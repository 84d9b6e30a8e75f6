"""Each piece of fine-tuning does what it is for, and what goes wrong on the way ends well."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgetl.errors import TrainingError
from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.finetune import SMALL_SET, Finetuning, _keeps_statistics
from edgetl.trainer.improvement import balanced_loss
from edgetl.trainer.network import Network
from edgetl.trainer.overfitting import overfitting as noticed
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.selection import EpochRow, Progressing
from edgetl.trainer.settings import Settings

CPU = torch.device("cpu")
SIDE = 32


class Listens(SilentReporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def colours(red: int = 24, green: int = 24, val: int = 8) -> TrainingData:
    """Plain red and plain green pictures, each a little darker or brighter than the others."""
    counts = {"red": red, "green": green}
    numbers = np.random.default_rng(0)
    images, targets, splits = [], [], []
    for target, count in enumerate(counts.values()):
        for i in range(count + val):
            picture = np.zeros((SIDE, SIDE, 3), np.uint8)
            picture[:, :, target] = numbers.integers(100, 250)
            images.append(picture)
            targets.append(target)
            splits.append("train" if i < count else "val")
    return TrainingData(np.stack(images), np.array(targets, np.int64), np.array(splits), tuple(counts))


def by_heart(seed: int = 0) -> TrainingData:
    """Noise with labels by chance: there is nothing to learn but the training pictures themselves."""
    numbers = np.random.default_rng(seed)
    images = numbers.integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    splits = np.array(["train" if i % 2 else "val" for i in range(64)])
    return TrainingData(images, numbers.integers(0, 2, 64), splits, ("a", "b"))


def settings(**changes: object) -> Settings:
    plain = {"data": "", "model": "resnet_tiny", "weights": "none", "recipe": "finetune", "imgsz": SIDE, "epochs": 2, "batch": 16,
             "device": "cpu", "augmentation": "none", "balance": "none", "label_smoothing": 0.0, "watch": False}  # fmt: skip
    return Settings(**{**plain, **changes})  # type: ignore[arg-type]


def made(data: TrainingData, **changes: object) -> Finetuning:
    torch.manual_seed(0)
    asked = settings(**changes)
    return Finetuning(Network(describe(asked.model), len(data.labels), SIDE), data, asked, CPU)


def done(data: TrainingData, **changes: object) -> Finetuning:
    state = made(data, **changes)
    state.run(lambda *_: None, SilentReporter())
    return state


@contextmanager
def shown(state: Finetuning) -> Iterator[list[Tensor]]:
    """The pictures that the net is shown in training, batch by batch."""
    seen: list[Tensor] = []

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if module.training:
            seen.append(args[0].detach().clone())

    hook = state.network.register_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


def trained_on(data: TrainingData, **changes: object) -> Tensor:
    """All pictures of one training, N×3×S×S."""
    state = made(data, **changes)
    with shown(state) as seen:
        state.run(lambda *_: None, SilentReporter())
    return torch.cat(seen)


def stem(network: nn.Module) -> Tensor:
    return next(p for p in network.parameters() if p.ndim == 4)


# The loss


@pytest.mark.parametrize(("smoothing", "balance"), [(0.0, "none"), (0.3, "none"), (0.0, "weights"), (0.2, "weights")])
def test_loss_is_that_of_the_labels_as_they_are_smoothed_and_weighed(smoothing: float, balance: str) -> None:
    """One batch of all pictures, at a rate that moves nothing: the loss can be computed by hand."""
    data = colours(24, 6)
    state = made(
        data, epochs=1, batch=30, learning_rate=1e-30, statistics="keep", label_smoothing=smoothing, balance=balance
    )
    rows = data.rows("train")
    ((pixels, targets),) = data.batches(rows, 30)
    with torch.inference_mode():
        logits = state.network.eval()(pixels)
    weights = torch.tensor([30 / 48, 30 / 12]) if balance == "weights" else None
    expected = F.cross_entropy(logits, targets, weights, label_smoothing=smoothing)
    state.run(lambda *_: None, SilentReporter())
    assert state.at.rows[1].train_loss == pytest.approx(float(expected), rel=1e-5)


# What the net is shown


def test_every_training_picture_is_shown_once_an_epoch_as_it_is() -> None:
    data = colours()
    seen = trained_on(data, epochs=1)
    own = torch.from_numpy(data.images[data.rows("train")]).permute(0, 3, 1, 2).float()
    place = [(t[:, 0].amax((1, 2)) - t[:, 1].amax((1, 2))).argsort() for t in (seen, own)]
    assert torch.allclose(seen[place[0]], own[place[1]], atol=0.05)


def test_augmentation_changes_what_is_shown() -> None:
    assert trained_on(colours(), epochs=1).flatten(1).std(1).max() < 120
    plain, changed = (trained_on(by_heart(), epochs=1, augmentation=how) for how in ("none", "texture"))
    assert plain.shape == changed.shape
    assert not torch.allclose(plain, changed, atol=20)


def greenish(pictures: Tensor) -> float:
    """The share of plain pictures that are green."""
    return float((pictures[:, 1].amax(dim=(1, 2)) > pictures[:, 0].amax(dim=(1, 2))).float().mean())


def test_sampling_shows_every_class_alike() -> None:
    data = colours(72, 8)
    assert greenish(trained_on(data, epochs=4)) == pytest.approx(0.1)
    assert greenish(trained_on(data, epochs=4, balance="sampling")) == pytest.approx(0.5, abs=0.1)


def test_mixup_blends_pictures_and_cutmix_pastes_them() -> None:
    """Of red and green pictures, a blend has both in each place; pasted ones have one of the two in each place."""
    data = colours()

    def both(pictures: Tensor) -> Tensor:
        return (pictures[:, 0] > 2) & (pictures[:, 1] > 2)

    plain, mixed, cut = (trained_on(data, epochs=2, **how) for how in ({}, {"mixup": 1.0}, {"cutmix": 1.0}))
    assert not both(plain).any() and not both(cut).any()
    assert both(mixed).flatten(1).all(1).float().mean() > 0.2
    red, green = (cut[:, channel].flatten(1).amax(1) > 2 for channel in (0, 1))
    assert (red & green).float().mean() > 0.2


# How far the weights move


def rates(state: Finetuning) -> list[float]:
    """The head's rate at each step."""
    seen: list[float] = []
    state.network.register_forward_pre_hook(
        lambda module, _: seen.append(state.optimizer.param_groups[-1]["lr"]) if module.training else None
    )
    state.run(lambda *_: None, SilentReporter())
    return seen


def test_rate_warms_up_and_falls_by_half_a_cosine() -> None:
    found = rates(made(colours(40, 40), epochs=4, batch=8, warmup=0.25, learning_rate=1e-3))
    assert len(found) == 40
    assert found[:10] == pytest.approx([1e-4 * n for n in range(1, 11)])
    assert found[10:] == sorted(found[10:], reverse=True)
    assert found[25] == pytest.approx(1e-3 * (0.01 + 0.99 * 0.5), rel=0.02) and found[-1] < 2e-5
    assert rates(made(colours(40, 40), epochs=4, batch=8, warmup=0.0, learning_rate=1e-3))[0] == pytest.approx(1e-3)


def test_average_is_what_counts_and_without_it_the_last_weights_are() -> None:
    for average in (True, False):
        state = done(colours(), average=average, learning_rate=1e-2)
        one, other = (stem(net) for net in (state.network, state.average.module))
        assert torch.equal(one, other) is not average


def test_weight_decay_is_asked_of_weights_and_not_of_biases() -> None:
    state = made(colours(), weight_decay=0.07)
    found = {
        parameter: group["weight_decay"] for group in state.optimizer.param_groups for parameter in group["params"]
    }
    assert {decay for p, decay in found.items() if p.ndim > 1} == {0.07}
    assert {decay for p, decay in found.items() if p.ndim == 1} == {0.0}


def test_layers_are_freed_in_turn_and_the_first_ones_move_last() -> None:
    state = made(colours(), epochs=8, unfreeze=0.75, learning_rate=1e-2)
    before, moved = stem(state.network).detach().clone(), []

    def note(state: Finetuning, row: EpochRow, better: bool) -> None:
        moved.append(not torch.equal(stem(state.network), before))

    state.run(note, SilentReporter())
    held = [row.held for row in state.at.rows[1:]]
    assert held[0] == state.layers.count - 1 and held == sorted(held, reverse=True) and held[6:] == [0, 0]
    assert moved == [False] * 7 + [True] * 2


def statistics(network: nn.Module) -> list[Tensor]:
    """Running means, from the stem on."""
    return [m.running_mean.clone() for m in network.modules() if isinstance(m, nn.BatchNorm2d)]  # type: ignore[union-attr]


@pytest.mark.parametrize(("how", "learned"), [("keep", False), ("learn", True)])
def test_batch_norm_statistics_are_kept_or_learned(how: str, learned: bool) -> None:
    state = made(colours(), statistics=how)
    before = statistics(state.network)
    state.run(lambda *_: None, SilentReporter())
    after = statistics(state.network)
    assert [not torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [learned] * len(before)


def test_statistics_of_pretrained_nets_are_learned_from_large_sets_alone() -> None:
    pretrained = settings(weights="w.safetensors")
    assert _keeps_statistics(pretrained, SMALL_SET - 1) and not _keeps_statistics(pretrained, SMALL_SET)
    assert not _keeps_statistics(settings(), 10)


def test_statistics_of_layers_that_are_held_stay_too() -> None:
    """Else what the free layers are fed drifts under them, though no weight moved."""
    state = made(colours(), recipe="blocks", statistics="learn")
    before = statistics(state.network)
    state.run(lambda *_: None, SilentReporter())
    moved = [not torch.equal(a, b) for a, b in zip(before, statistics(state.network), strict=True)]
    assert moved == sorted(moved) and not moved[0] and moved[-1]


# When it ends, and what counts


def test_training_stops_when_val_gains_nothing_and_says_so() -> None:
    said = Listens()
    state = made(by_heart(), epochs=40, patience=3, learning_rate=2e-2)
    state.run(lambda *_: None, said)
    last, leading = state.at.rows[-1].epoch, state.at.leading_epoch
    assert last < 40 and last - leading == 3
    assert "stopped early: no gain on val for 3 epochs" in said.lines
    patient = Listens()
    state = made(by_heart(), epochs=12, patience=12, learning_rate=2e-2)
    state.run(lambda *_: None, patient)
    assert state.at.rows[-1].epoch == 12 and not any("stopped early" in line for line in patient.lines)


def test_patience_does_not_end_a_training_whose_layers_still_wait() -> None:
    state = made(by_heart(), epochs=12, patience=2, unfreeze=0.75, learning_rate=2e-2)
    state.run(lambda *_: None, SilentReporter())
    assert state.at.rows[-1].held == 0
    assert state.at.rows[-1].epoch >= 9 + 2


def best_of(state: Finetuning) -> tuple[int, list[bool]]:
    """The epoch whose weights count, and which epochs were announced as the best."""
    told: list[bool] = []
    state.run(lambda _, row, better: told.append(better), SilentReporter())
    return state.at.best_epoch, told


def test_start_stays_unless_fine_tuning_beats_it_by_more_than_the_noise() -> None:
    """The same training three times: some epoch is better than the start; on so few pictures that may be chance."""
    few = colours(val=2)
    plain, told = best_of(made(few, epochs=6, learning_rate=1e-2, weights="auto", blend=False, average=False))
    assert plain > 0 and told[0] and told[plain]
    said = Listens()
    state = made(few, epochs=6, learning_rate=1e-2, weights="auto", blend=False, average=False, margin=10.0)
    state.run(lambda *_: None, said)
    assert state.at.best_epoch == 0 < state.at.leading_epoch
    assert any(line.startswith("the probe stays: ") and "noise of 4 pictures" in line for line in said.lines)
    many, _ = best_of(
        made(colours(val=40), epochs=6, learning_rate=1e-2, weights="auto", blend=False, average=False, margin=2.0)
    )
    assert many > 0


# Between the start and the end


def mislabelled(share: float) -> TrainingData:
    """Red and green pictures, of which some in train are named wrongly."""
    data = colours(red=40, green=40, val=40)
    rows = data.rows("train")
    wrong = np.random.default_rng(1).permutation(rows)[: round(share * len(rows))]
    data.targets[wrong] = 1 - data.targets[wrong]
    return data


def continued(data: TrainingData, **changes: object) -> Finetuning:
    """Fine-tunes, on other pictures, a net that has learned a little of red and green."""
    begun = done(colours(red=8, green=8), epochs=3, learning_rate=2e-3, average=False)
    state = made(data, weights="auto", statistics="keep", average=False, epochs=8, **changes)
    state.network.load_state_dict(begun.network.state_dict())
    return state


def test_net_between_start_and_end_is_kept_where_the_training_went_too_far() -> None:
    """Wrong labels are learned by heart in the end; half way most of them are not."""
    said = Listens()
    state = continued(mislabelled(0.3), learning_rate=5e-3, layer_ratio=1.0)
    state.run(lambda *_: None, said)
    assert state.blend is not None and state.blend.share < 1
    assert any(line.startswith(f"blended: {state.blend.share:.0%} of the way") for line in said.lines)
    truth = state.data.targets[state.data.rows("val")]
    loss = balanced_loss(state.blend.judgement, truth)
    assert state.at.start is not None and loss < balanced_loss(state.at.start, truth)
    assert balanced_loss(state._validate(state.network).judgement, truth) == pytest.approx(loss)
    assert loss < balanced_loss(state._validate(state.average.module).judgement, truth)


def test_blend_is_as_far_from_the_start_as_was_asked_whatever_val_makes_of_it() -> None:
    """Wrong labels are learned by heart in the end, and val says so."""
    state = continued(mislabelled(0.3), learning_rate=5e-3, layer_ratio=1.0, blend_least=1.0, margin=-10.0)
    state.run(lambda *_: None, SilentReporter())
    assert state.blend is not None and state.blend.share == 1.0
    end = state.average.module.state_dict()
    assert all(torch.equal(value, end[name]) for name, value in state.network.state_dict().items())


def test_nothing_is_blended_where_it_is_not_wanted_or_nothing_was_pretrained() -> None:
    for changes in ({"blend": False}, {"weights": "none"}):
        state = made(mislabelled(0.3), **{"weights": "auto", "epochs": 3, "learning_rate": 2e-2, **changes})
        state.run(lambda *_: None, SilentReporter())
        assert state.blend is None and state.start == {}


# Overfitting


def overfitting(**changes: object) -> tuple[Finetuning, Listens]:
    said = Listens()
    taken = {"weights": "auto", "statistics": "learn", "blend": False, "watch": True}
    state = made(by_heart(), epochs=16, patience=16, learning_rate=1e-2, average=False, **{**taken, **changes})
    state.run(lambda *_: None, said)
    return state, said


def test_overfitting_is_met_by_holding_layers_and_said() -> None:
    state, said = overfitting()
    held = [row.held for row in state.at.rows]
    lines = [line for line in said.lines if line.startswith("overfitting: ")]
    first = next(epoch for epoch, count in enumerate(held) if count)
    count = state.layers.count
    assert held[first] == count // 2
    rows = state.at.rows[:first]
    epochs = noticed(rows)
    assert epochs
    assert f"rose from {rows[-1 - epochs].val_loss:.3f} to {rows[-1].val_loss:.3f} over {epochs} epochs" in lines[0]
    assert lines[0].endswith(f"from here {count // 2} of {count} layers are held still")


@pytest.mark.parametrize("changes", ({"watch": False}, {"weights": "none"}), ids=("unwatched", "from nothing"))
def test_no_layer_is_held_where_nobody_watches_or_nothing_was_pretrained(changes: dict[str, object]) -> None:
    state, said = overfitting(**changes)
    assert any(noticed(state.at.rows[:epochs]) for epochs in range(len(state.at.rows)))
    assert not any(row.held for row in state.at.rows) and not any("overfitting" in line for line in said.lines)


def test_overfitting_while_layers_wait_holds_half_of_those_that_are_free() -> None:
    """Those that still wait for their turn are not free: what is held for good is counted from them on."""
    said = Listens()
    state = made(by_heart(), epochs=10, weights="auto", watch=True, unfreeze=1.0)
    count = state.layers.count
    waiting = count - 4
    rows = [EpochRow(n, 1 - n / 10, 0.5, 0.5 + n / 10, 0.5, 1e-3, 1.0, waiting) for n in range(4)]
    state.at = Progressing(epoch=3, rows=rows)
    state._watch(said)
    assert f"from here {waiting + 2} of {count} layers are held still" in said.lines[0]
    assert state.layers.held(1.0, state.at.held_more) == waiting + 2  # what would have been freed later is not


# What goes wrong


def spoil(parameter: Tensor, at_call: int) -> None:
    """From that call on the gradient of a parameter is not a number, though the loss is one."""
    calls = 0

    def spoiled(gradient: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return gradient * math.nan if calls >= at_call else gradient

    parameter.register_hook(spoiled)


def test_gradient_that_is_no_number_stops_before_any_weight_moves() -> None:
    """Three batches an epoch; the fifth is the second of the second epoch."""
    data = colours()
    state = made(data, epochs=3)
    spoil(state.network.head.weight, 5)
    rows: list[EpochRow] = []
    with pytest.raises(TrainingError, match=r"the gradient is not a number at step 4 \(epoch 2, batch 2\)"):
        state.run(lambda _, row, __: rows.append(row), SilentReporter())
    assert [row.epoch for row in rows] == [0, 1]
    for net in (state.network, state.average.module):
        assert all(torch.isfinite(t).all() for t in net.state_dict().values())


def test_val_loss_that_is_no_number_is_no_epoch() -> None:
    """The last batch of an epoch ruined the weights: nothing was trained after it that could have noticed."""
    state = made(colours(), epochs=3, average=False)
    rows: list[EpochRow] = []

    def ruin(state: Finetuning, row: EpochRow, better: bool) -> None:
        rows.append(row)
        state.network.head.register_forward_hook(
            lambda module, _, out: out if module.training else out * math.inf  # type: ignore[no-any-return]
        )
        state.average.module.head.register_forward_hook(lambda module, _, out: out * math.nan)

    with pytest.raises(TrainingError, match="the loss on val is not a number after epoch 1"):
        state.run(ruin, SilentReporter())
    assert [row.epoch for row in rows] == [0]


def with_room_for(state: Finetuning, pictures: int) -> Finetuning:
    """The net on a device with memory for so many pictures at once."""

    def check(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if len(args[0]) > pictures:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    for net in (state.network, state.average.module):
        net.register_forward_pre_hook(check)
    return state


def test_too_little_memory_changes_the_batches_and_not_the_result(caplog: pytest.LogCaptureFixture) -> None:
    data = colours(24, 24, val=40)
    whole = done(data, statistics="keep", batch=16)
    with caplog.at_level(logging.WARNING, "edgetl.train"):
        small = with_room_for(made(data, statistics="keep", batch=16), 5)
        small.run(lambda *_: None, SilentReporter())
    assert small.micro_batch == 4
    told = [record.getMessage() for record in caplog.records]
    assert "out of memory on the device: batches are worked on 4 pictures at a time from now on" in told
    for one, other in zip(whole.at.rows[1:], small.at.rows[1:], strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-3)
        assert other.val_loss == pytest.approx(one.val_loss, rel=1e-2)


def test_no_room_for_one_picture_ends_in_one_line() -> None:
    with pytest.raises(
        TrainingError, match="not even one picture fits into the device's memory; choose a smaller --imgsz"
    ):
        with_room_for(made(colours()), 0).run(lambda *_: None, SilentReporter())


class FullAtResampling(TorchFunctionMode):
    """A device that has room for everything but what the augmentation needs, the first time that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.grid_sample and not self.refused:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return func(*args, **(kwargs or {}))


def test_augmentation_that_does_not_fit_gives_the_same_pictures_elsewhere() -> None:
    plain = done(colours(), augmentation="texture")
    with FullAtResampling() as device:
        small = done(colours(), augmentation="texture")
    assert device.refused == 1
    assert torch.equal(stem(plain.network), stem(small.network))
