"""Whether layers should learn too, judged on training pictures where val has too few to say.

The training pictures are halved. On each half a head is fitted to frozen features, and from there a net is trained as the recipe has
it; both are judged on the other half. So every training picture is judged once by nets that did not see it: of a class of twelve
pictures twelve, where val may have one. Half of few pictures can be too few to learn anything from, where all of them are not: unless
halves tell clearly, nets on four fifths of the pictures are judged on the last fifth, five times.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import count

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.trainer.data import TrainingData
from edgetl.trainer.datacheck.crossfit import FOLDS, folds_of
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.improvement import LUCK, Improvement, Judgement, improvement
from edgetl.trainer.inference import BATCH
from edgetl.trainer.network import Network
from edgetl.trainer.preparation import Prepared
from edgetl.trainer.probe import train_probe
from edgetl.trainer.progress import Reporter, SilentReporter
from edgetl.trainer.settings import Settings

# The folds that are judged together by nets that did not see them.
HALVES = ((0, 1), (2, 3, 4))
FIFTHS = tuple((fold,) for fold in range(FOLDS))
_NEITHER = "neither"  # the split of what takes no part


class Gain(msgspec.Struct, frozen=True):
    """What letting layers learn came to on training pictures that the nets did not see: parts of train, `halves` or `fifths`."""

    found: Improvement
    parts: str

    @property
    def shown(self) -> bool:
        """Whether it is more than luck."""
        return self.found.beyond(LUCK)


def gain_unseen(
    settings: Settings, network: Network, prepared: Prepared, device: torch.device, reporter: Reporter
) -> Gain:
    """From heads on frozen features to nets whose layers learned too, over all training pictures. `settings`: with the recipe
    decided. `network`: as it begins; it stays as it is."""
    by_halves = Gain(gain_on(HALVES, settings, network, prepared, device, reporter), "halves")
    if by_halves.shown or by_halves.found.clearly_worse:
        return by_halves
    return Gain(gain_on(FIFTHS, settings, network, prepared, device, reporter), "fifths")


def gain_on(
    parts: Sequence[tuple[int, ...]],
    settings: Settings,
    network: Network,
    prepared: Prepared,
    device: torch.device,
    reporter: Reporter,
) -> Improvement:
    """The same, with each of `parts`, folds of the training pictures, judged by nets on all others."""
    data = prepared.data
    rows = data.rows("train")
    folds = folds_of(data.targets[rows], [prepared.groups[row] for row in rows])
    before, after, truth = Judgement([], []), Judgement([], []), []
    epochs = count(1)
    reporter.begin(f"train in {len(parts)} parts", len(parts) * (settings.epochs or 0))
    for part in parts:
        judged = np.isin(folds, part)
        divided = _divided(data, rows[~judged], rows[judged])
        head, net = _judged(settings, copy.deepcopy(network), divided, device, lambda: reporter.advance(next(epochs)))
        before, after = _joined(before, head), _joined(after, net)
        truth.append(divided.targets[divided.rows("val")])
    return improvement(before, after, np.concatenate(truth))


def _divided(data: TrainingData, train: NDArray[np.int64], judged: NDArray[np.int64]) -> TrainingData:
    splits = np.full(len(data.splits), _NEITHER)
    splits[train], splits[judged] = "train", "val"
    return msgspec.structs.replace(data, splits=splits, resident=None)


def _judged(
    settings: Settings,
    network: Network,
    divided: TrainingData,
    device: torch.device,
    on_epoch: Callable[[], None],
) -> tuple[Judgement, Judgement]:
    """What the head on frozen features and the net that was trained from there make of the part that they did not see."""
    silent = SilentReporter()
    train_probe(network, divided, BATCH, device, silent)
    # Blends are tried also where none is to be kept: they are what tells how far this training is worth going.
    state = Finetuning(network, divided, msgspec.structs.replace(settings, blend=True), device)
    state.run(lambda _, row, __: on_epoch() if row.epoch else None, silent)
    assert state.at.start is not None, "what is pretrained has a start"
    assert state.between_ends is not None, "what has a start has blends"
    return state.at.start, state.between_ends.judgement


def _joined(one: Judgement, other: Judgement) -> Judgement:
    return Judgement(one.losses + other.losses, one.hits + other.hits)
