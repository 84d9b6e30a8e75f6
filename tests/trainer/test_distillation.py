"""The part of the loss that comes from a teacher, and that a student learns from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.distillation import Teacher, TeacherRecord, distillation_loss
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.network import Network
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.settings import Settings

NOBODY = TeacherRecord(model="", weights="", sha256="", val_balanced_accuracy=1.0)


def logits(seed: int, count: int = 6) -> Tensor:
    return 3 * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def test_nothing_is_left_to_learn_from_a_teacher_of_the_same_mind() -> None:
    same = logits(0)
    assert distillation_loss(same, same + 5.0, 2.0, None).item() == pytest.approx(0, abs=1e-5)  # an offset says nothing
    assert distillation_loss(same, logits(1), 2.0, None) > 0.1


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradient_is_the_difference_of_the_softened_chances_times_the_temperature(temperature: float) -> None:
    student, teacher = logits(0).requires_grad_(), logits(1)
    distillation_loss(student, teacher, temperature, None).backward()
    by_hand = temperature * (F.softmax(student / temperature, 1) - F.softmax(teacher / temperature, 1))
    assert student.grad is not None
    assert torch.allclose(student.grad, by_hand, atol=1e-5)


def test_pictures_count_by_their_weight() -> None:
    student, teacher, weights = logits(0), logits(1), torch.tensor([0.0, 2.0, 1.0, 0.0, 0.5, 1.0])
    each = [distillation_loss(student[i : i + 1], teacher[i : i + 1], 2.0, None) for i in range(6)]
    expected = sum(w * loss for w, loss in zip(weights.tolist(), each, strict=True))
    assert torch.allclose(distillation_loss(student, teacher, 2.0, weights), torch.as_tensor(expected))


def of_colours() -> TrainingData:
    """Red, green and blue pictures with labels that are all wrong, each in the same way."""
    numbers = np.random.default_rng(0)
    colours = np.repeat(np.arange(3), 24)
    images = numbers.integers(0, 120, (72, 32, 32, 3), np.uint8)
    images[np.arange(72), :, :, colours] += 100
    splits = np.array(["val" if i % 4 == 0 else "train" for i in range(72)])
    return TrainingData(images, (colours + 1) % 3, splits, ("a", "b", "c"))


def colour_expert(pixels: Tensor) -> Tensor:
    """Logits by the colour that is strongest."""
    return (pixels.mean(dim=(2, 3)) - 127) / 8


def agreement(network: torch.nn.Module, data: TrainingData) -> float:
    """The share of val pictures of which a network says what the expert says."""
    with torch.inference_mode():
        ((pixels, _),) = data.batches(data.rows("val"), 100)
        return float((network.eval()(pixels).argmax(1) == colour_expert(pixels).argmax(1)).float().mean())


@pytest.mark.parametrize(("balance", "mixup", "epochs"), [("weights", 0.0, 6), ("none", 0.0, 6), ("weights", 0.2, 14)])
def test_student_takes_over_what_only_the_teacher_knows(balance: str, mixup: float, epochs: int) -> None:
    data, agreed = of_colours(), {}
    for share in (0.0, 1.0):
        settings = Settings(
            data="", model="resnet_tiny", weights="none", recipe="finetune", imgsz=32, epochs=epochs, batch=18, patience=99, device="cpu",
            augmentation="none", watch=False, distill_weight=share, teacher="colours", balance=balance, mixup=mixup,
        )  # fmt: skip
        torch.manual_seed(0)
        network = Network(describe("resnet_tiny"), 3, 32)
        student = Finetuning(network, data, settings, torch.device("cpu"), Teacher(colour_expert, NOBODY))
        student.run(lambda *_: None, SilentReporter())
        agreed[share] = agreement(student.average.module, data)
    assert agreed[1.0] > 0.85
    assert agreed[0.0] < 0.35
