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

from edgetl.trainer.blending import Blend, best_blend
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

_NEITHER = "neither"  # the split of what takes no part


class Parts(msgspec.Struct, frozen=True):
    """A way to divide the training pictures: the folds of each part, which is judged by nets that did not see it."""

    name: str
    folds: tuple[tuple[int, ...], ...]


HALVES = Parts("halves", ((0, 1), (2, 3, 4)))
FIFTHS = Parts("fifths", tuple((fold,) for fold in range(FOLDS)))


class Gain(msgspec.Struct, frozen=True):
    """What letting layers learn came to on `parts` of train that the nets did not see, with the blend that was best there:
    `share` of the way from the heads on frozen features to the end."""

    found: Improvement
    share: float
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
    by_halves = gain_on(HALVES, settings, network, prepared, device, reporter)
    if by_halves.shown or by_halves.found.clearly_worse:
        return by_halves
    return gain_on(FIFTHS, settings, network, prepared, device, reporter)


def gain_on(
    parts: Parts, settings: Settings, network: Network, prepared: Prepared, device: torch.device, reporter: Reporter
) -> Gain:
    """The same, with each of these parts judged by nets on all others."""
    data = prepared.data
    rows = data.rows("train")
    folds = folds_of(data.targets[rows], [prepared.groups[row] for row in rows])
    heads, nets, truth = [], [], []
    epochs = count(1)
    reporter.begin(f"train in {len(parts.folds)} parts", len(parts.folds) * (settings.epochs or 0))
    for part in parts.folds:
        judged = np.isin(folds, part)
        divided = _divided(data, rows[~judged], rows[judged])
        head, blends = _judged(
            settings, copy.deepcopy(network), divided, device, lambda: reporter.advance(next(epochs))
        )
        heads.append(head)
        nets.append(blends)
        truth.append(divided.targets[divided.rows("val")])
    everything = np.concatenate(truth)
    best = best_blend([_joined_blend(alike) for alike in zip(*nets, strict=True)], everything)
    return Gain(improvement(_joined(heads), best.judgement, everything), best.share, parts.name)


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
) -> tuple[Judgement, tuple[Blend, ...]]:
    """What the head on frozen features makes of the part that it did not see, and what the nets do on the way from there to the
    end of its training."""
    silent = SilentReporter()
    train_probe(network, divided, BATCH, device, silent)
    # Blends are tried also where none is to be kept: they are what tells how far this training is worth going.
    state = Finetuning(network, divided, msgspec.structs.replace(settings, blend=True), device)
    state.run(lambda _, row, __: on_epoch() if row.epoch else None, silent)
    assert state.at.start is not None and state.between_ends, "what is pretrained has a start, and so blends"
    return state.at.start, state.between_ends


def _joined(judged: Sequence[Judgement]) -> Judgement:
    """What nets made of one part each, as if one had judged all."""
    return Judgement([loss for one in judged for loss in one.losses], [hit for one in judged for hit in one.hits])


def _joined_blend(alike: Sequence[Blend]) -> Blend:
    """Blends of several trainings, all as far from the start."""
    return Blend(alike[0].share, _joined([blend.judgement for blend in alike]))
