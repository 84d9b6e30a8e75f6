"""Chooses how a net is trained, from what its data set is like: how many pictures there are, how far heads on frozen features get,
and how much changing pictures takes from that.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from torch import Tensor

from edgetl.runtime.metrics import balanced_accuracy, confusion_matrix
from edgetl.trainer.data import TrainingData
from edgetl.trainer.datacheck.crossfit import out_of_fold
from edgetl.trainer.parts_of_train import Gain
from edgetl.trainer.preparation import Prepared
from edgetl.trainer.recipe import MARGIN, Decision, Facts, decide, may_change_much, separation
from edgetl.trainer.settings import Settings


class Probed(msgspec.Struct, frozen=True):
    """Frozen features of the training pictures (N×features, on the CPU), the penalty that val chose for a head on them, and what
    computes the features of the pictures once they are changed much (a multiple of N×features): that takes a while."""

    features: Tensor
    penalty: float
    of_changed: Callable[[], Tensor]


def choose(settings: Settings, prepared: Prepared, probed: Probed | None, drawn: bool) -> Decision:
    """The recipe and what goes with it, as far as it is left open. `probed`: None where the net begins from nothing. `drawn`:
    whether its weights know drawn pictures alone."""
    facts = Facts(_counts(prepared.data), None, drawn)
    open_changes = settings.augmentation == "auto"
    asks = settings.recipe == "auto" or (open_changes and settings.recipe in ("blocks", "finetune"))
    if probed is not None and asks:
        facts = msgspec.structs.replace(facts, separation=_separation(prepared, probed.features, probed.penalty))
    decision = decide(facts, settings.recipe, settings.batch)
    if probed is None or not open_changes or not may_change_much(facts, decision.recipe):
        return decision
    borne = _separation(prepared, probed.of_changed(), probed.penalty)
    return decide(msgspec.structs.replace(facts, separation_changed=borne), settings.recipe, settings.batch)


def shown(settings: Settings, gain: Gain) -> Settings:
    """The settings once it is known what letting layers learn gains on training pictures that the nets did not see: a head alone
    where that is no more than luck, else a blend at least as far as was best there, since those nets
    had fewer pictures to learn from, and val need only not speak against it."""
    found = gain.found
    told = (
        f"on {gain.parts} of train that the nets did not see balanced accuracy {100 * found.accuracy:+.1f} ± "
        f"{100 * found.accuracy_error:.1f} points, loss {-found.loss:+.3f} ± {found.loss_error:.3f}"
    )
    if gain.shown:
        settings = msgspec.structs.replace(settings, margin=MARGIN, reasons=(*settings.reasons, f"{told}: a gain"))
        return _with_blend(settings, gain.share) if settings.blend and settings.blend_least is None else settings
    return msgspec.structs.replace(
        settings, recipe="probe", reasons=(*settings.reasons, f"{told}: no gain, so a head alone")
    )


def _with_blend(settings: Settings, share: float) -> Settings:
    told = f"best {share:.0%} of the way from the head to the last epoch, so at least that far"
    return msgspec.structs.replace(
        settings, blend_least=share, left_open=(*settings.left_open, "blend_least"), reasons=(*settings.reasons, told)
    )


def _separation(prepared: Prepared, features: Tensor, penalty: float) -> float:
    """How well heads on frozen features tell training pictures apart that they did not see. `features`: those of all training
    pictures, once or several times over."""
    data, rows = prepared.data, prepared.data.rows("train")
    rows = np.tile(rows, len(features) // len(rows))
    truth, classes = data.targets[rows], len(data.labels)
    groups = [prepared.groups[row] for row in rows]
    guesses = out_of_fold(features.numpy(), truth, groups, classes, (penalty,)).argmax(axis=1)
    return separation(balanced_accuracy(confusion_matrix(truth, guesses, classes)), classes)


def _counts(data: TrainingData) -> tuple[int, ...]:
    """Training pictures of each class."""
    return tuple(np.bincount(data.targets[data.rows("train")], minlength=len(data.labels)).tolist())
