"""Whether layers should learn too, judged on training pictures where val has too few to say.

The training pictures are halved. On each half a head is fitted to frozen features, and from there a net is trained as the recipe has
it; both are judged on the other half. So every training picture is judged once by nets that did not see it: of a class of twelve
pictures twelve, where val may have one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import count

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.trainer.data import TrainingData
from edgetl.trainer.datacheck.crossfit import folds_of
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.improvement import Improvement, Judgement, improvement
from edgetl.trainer.inference import BATCH
from edgetl.trainer.network import Network
from edgetl.trainer.preparation import Prepared
from edgetl.trainer.probe import train_probe
from edgetl.trainer.progress import Reporter, SilentReporter
from edgetl.trainer.settings import Settings

_FIRST_HALF = 2  # of the five folds; three are the other
_NEITHER = "neither"  # the split of what takes no part


def gain_out_of_half(
    settings: Settings, network: Network, prepared: Prepared, device: torch.device, reporter: Reporter
) -> Improvement:
    """From heads on frozen features to nets whose layers learned too, over all training pictures. `settings`: with the recipe
    decided. `network`: as it begins; it stays as it is."""
    data = prepared.data
    rows = data.rows("train")
    folds = folds_of(data.targets[rows], [prepared.groups[row] for row in rows])
    before, after, truth = Judgement([], []), Judgement([], []), []
    epochs = count(1)
    reporter.begin("halves", 2 * (settings.epochs or 0))
    for judged in (folds < _FIRST_HALF, folds >= _FIRST_HALF):
        half = _divided(data, rows[~judged], rows[judged])
        head, net = _judged(settings, copy.deepcopy(network), half, device, lambda: reporter.advance(next(epochs)))
        before, after = _joined(before, head), _joined(after, net)
        truth.append(half.targets[half.rows("val")])
    return improvement(before, after, np.concatenate(truth))


def _divided(data: TrainingData, train: NDArray[np.int64], judged: NDArray[np.int64]) -> TrainingData:
    splits = np.full(len(data.splits), _NEITHER)
    splits[train], splits[judged] = "train", "val"
    return msgspec.structs.replace(data, splits=splits, resident=None)


def _judged(
    settings: Settings,
    network: Network,
    half: TrainingData,
    device: torch.device,
    on_epoch: Callable[[], None],
) -> tuple[Judgement, Judgement]:
    """What the head on frozen features and the net that was trained from there make of the other half."""
    silent = SilentReporter()
    train_probe(network, half, BATCH, device, silent)
    # Blends are tried also where none is to be kept: they are what tells how far this training is worth going.
    state = Finetuning(network, half, msgspec.structs.replace(settings, blend=True), device)
    state.run(lambda _, row, __: on_epoch() if row.epoch else None, silent)
    assert state.at.start is not None, "what is pretrained has a start"
    assert state.between_ends is not None, "what has a start has blends"
    return state.at.start, state.between_ends.judgement


def _joined(one: Judgement, other: Judgement) -> Judgement:
    return Judgement(one.losses + other.losses, one.hits + other.hits)
