"""Distillation: a small net learns from the pictures' labels and from what a larger one makes of the same pictures.

The teacher sees each picture as it was changed for the student (Beyer et al., 2022, arXiv:2106.05237); its answers are
softened by a temperature (Hinton et al., 2015, arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor


class TeacherRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What taught a run beside the labels: its net, where its weights came from, their digest, how good it was on val."""

    model: str
    weights: str
    sha256: str
    val_balanced_accuracy: float


class Teacher(msgspec.Struct):
    """`answer`: N×3×S×S float pixels (0 to 255, S the student's) to N×classes logits in the data set's order."""

    answer: Callable[[Tensor], Tensor]
    record: TeacherRecord

    @torch.no_grad()
    def logits(self, pixels: Tensor) -> Tensor:
        """What it makes of pictures that the student is shown."""
        return self.answer(pixels).float()


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float, weights: Tensor | None) -> Tensor:
    """How far the student's chances are from the teacher's, both softened: the sum over N×classes logits, each picture by
    its weight. The square of the temperature keeps its gradients as large as the labels'."""
    softened = F.log_softmax(student / temperature, dim=1), F.log_softmax(teacher / temperature, dim=1)
    each = F.kl_div(*softened, reduction="none", log_target=True).sum(dim=1)
    return temperature**2 * (each if weights is None else each * weights).sum()
