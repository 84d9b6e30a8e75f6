"""Which of the nets that a fine-tuning passes through counts: the start, an epoch, or a blend of both ends."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.trainer.blending import Blend
from edgetl.trainer.improvement import LUCK, Judgement, improvement


class EpochRow(msgspec.Struct, frozen=True):
    """One line of results.csv. Epoch 0 is the state before fine-tuning. `held`: how many of the first layers did not
    learn; it rises where overfitting was noticed."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_balanced_accuracy: float
    learning_rate: float
    seconds: float
    held: int = 0


class Progressing(msgspec.Struct):
    """Everything that a resumed run needs, apart from the tensors of network, average and optimizer.

    `best_epoch` is the one whose weights count. `leading_epoch` is the best of those that were fine-tuned; it counts only
    when it beats `start`, what the net made of val before, by more than the noise of so few pictures; a net that began
    from nothing has none to beat. `leading` is what that epoch made of val."""

    epoch: int = 0
    best_epoch: int = 0
    rows: list[EpochRow] = msgspec.field(default_factory=list)
    held_more: int = 0  # layers, against overfitting
    watched_from: int = 0  # the row at which something was last done against it
    leading_epoch: int = 0
    start: Judgement | None = None
    leading: Judgement | None = None

    def row(self, epoch: int) -> EpochRow:
        """The row of an epoch."""
        return next(r for r in self.rows if r.epoch == epoch)

    def best(self) -> EpochRow:
        """The row that counts so far."""
        return self.row(self.best_epoch)

    def leads(self, row: EpochRow) -> bool:
        """Whether a row is the best of the fine-tuned ones: balanced accuracy on val, and at a tie the smaller loss."""
        known = self.leading_epoch or self.best_epoch
        if known == 0:
            return True
        best = self.row(known)
        return (row.val_balanced_accuracy, -row.val_loss) > (best.val_balanced_accuracy, -best.val_loss)

    def beats_start(self, row: EpochRow) -> bool:
        """Whether a row is better than the start, whatever the noise."""
        start = self.rows[0]
        return (row.val_balanced_accuracy, -row.val_loss) > (start.val_balanced_accuracy, -start.val_loss)

    def takes_lead(self, row: EpochRow, judged: Judgement, truth: NDArray[np.int64], margin: float) -> bool:
        """Notes a row that leads, and says whether its weights are the ones that count from now on. `margin`: by how many
        standard errors it must be better than the start. `truth`: N class indices of val."""
        if not self.leads(row):
            return False
        self.leading_epoch, self.leading = row.epoch, judged
        if self.start is None:
            return True
        if margin == 0:
            return self.best_epoch > 0 or self.beats_start(row)
        return improvement(self.start, judged, truth).beyond(margin)

    def yields_to(
        self, blend: Blend, truth: NDArray[np.int64], margin: float, *, judged_elsewhere: bool = False
    ) -> bool:
        """Whether a blend counts instead: better than the start beyond the noise, and not worse than the leading epoch, which was
        the luckiest of many and so has to be better by more than luck. One that was `judged_elsewhere`, on more pictures than
        val has, counts beside any epoch, unless val knows more of the start: that the loss rose by more than luck."""
        if self.start is None:
            return False
        found = improvement(self.start, blend.judgement, truth)
        if not found.beyond(margin):
            return False
        if judged_elsewhere:
            return not found.clearly_worse
        if self.leading is None:
            return True
        better = improvement(blend.judgement, self.leading, truth)
        return better.loss <= LUCK * better.loss_error
