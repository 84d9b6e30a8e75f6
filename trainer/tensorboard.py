"""A run's figures for TensorBoard, epoch by epoch, beside those of other runs: `tensorboard --logdir FOLDER`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from edgetl.errors import MissingPartError, storage
from edgetl.trainer.selection import EpochRow

FOLDER = "tensorboard"
_NAMES = {
    "train_loss": "loss/train", "val_loss": "loss/val", "train_accuracy": "accuracy/train",
    "val_balanced_accuracy": "accuracy/val balanced", "learning_rate": "learning rate", "held": "layers held",
    "seconds": "seconds",
}  # fmt: skip


def require_tensorboard() -> ModuleType:
    """torch's writer for TensorBoard. Raises MissingPartError where tensorboard is not installed."""
    # Where TensorFlow is installed, tensorboard would import all of it to make a folder; this name makes it take its own.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    try:
        from torch.utils import tensorboard
    except ImportError as error:
        raise MissingPartError(
            "--tensorboard needs the package tensorboard: pip install 'edgetl[tensorboard]'"
        ) from error
    module: ModuleType = tensorboard
    return module


class Board:
    """Writes RUN/tensorboard. A resumed run goes on behind `epoch`; what an earlier one wrote of later epochs is hidden."""

    def __init__(self, run: Path, epoch: int) -> None:
        with storage(run / FOLDER):
            self._writer: Any = require_tensorboard().SummaryWriter(str(run / FOLDER), purge_step=epoch + 1)

    def add(self, row: EpochRow) -> None:
        """The figures of one epoch, those that it has."""
        with storage(FOLDER):
            for field, name in _NAMES.items():
                if not math.isnan(value := float(getattr(row, field))):
                    self._writer.add_scalar(name, value, row.epoch)
            self._writer.flush()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
