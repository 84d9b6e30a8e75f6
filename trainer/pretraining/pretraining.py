"""The loop: every step and its random numbers follow from the seed and the step's number, so that it can be resumed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgetl.errors import TrainingError
from edgetl.trainer.augment import Augmentation, Part, augment
from edgetl.trainer.network import pixels_of
from edgetl.trainer.pretraining import checkpoint
from edgetl.trainer.pretraining.learner import Learner, losses_of, summed
from edgetl.trainer.pretraining.plan import Plan
from edgetl.trainer.pretraining.pool import Pool
from edgetl.trainer.pretraining.views import nearer, turned
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import Rank

SAVE_EVERY_S = 120.0
AVERAGE = 0.998  # of the averaged weights is kept at each step
MAX_GRADIENT = 5.0
LIGHT = Augmentation(False, False, 0.0, 0.0, 0.0, brightness=0.15, contrast=0.2, colour=0.05, blur=0.1, noise=4.0)


class Progressing(msgspec.Struct):
    """How far it has come: steps done, seconds of training, and a running mean of each head's loss."""

    step: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = msgspec.field(default_factory=dict)


class Pretraining:
    """The state of one pretraining. Under torchrun each process takes its share of every batch."""

    def __init__(self, plan: Plan, pool: Pool, rank: Rank) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.pool = pool
        self.rank = rank
        device = rank.device
        learner = rank.synchronized(Learner(plan))
        self.learner: Learner = cast(Any, learner.to(device)).to(memory_format=torch.channels_last)
        self.average = AveragedModel(self.learner, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)  # type: ignore[no-untyped-call]
        self.optimizer = torch.optim.AdamW(_groups(self.learner, plan.weight_decay), lr=plan.learning_rate)
        self.at = Progressing()

    def run(self, out: Path, reporter: Reporter) -> None:
        """Trains to the last step; writes the weights and the state now and then, at the end, and on Ctrl-C."""
        self.learner.train()
        reporter.begin("pretraining", self.plan.steps)
        started = saved = time.monotonic()
        before = self.at.seconds
        try:
            while self.at.step < self.plan.steps:
                self._step()
                now = time.monotonic()
                self.at.seconds = before + now - started
                reporter.advance(self.at.step, self._note())
                if now - saved > SAVE_EVERY_S:
                    saved = now
                    self._write(out, reporter)
        finally:
            self._write(out, reporter)

    def resume(self, out: Path) -> None:
        """Goes on where the last state beside `out` was written. Raises UsageError or WeightsError."""
        checkpoint.resume(self, out)

    def _write(self, out: Path, reporter: Reporter) -> None:
        if self.rank.number == 0:
            checkpoint.write(self, out)
            reporter.say(f"step {self.at.step}/{self.plan.steps}  {self.at.seconds / 60:.1f} min  {self._note()}")

    def _rows(self) -> NDArray[np.int64]:
        """The pictures of this step: every one comes once before any comes again."""
        epoch, position = divmod(self.at.step, len(self.pool.images) // self.plan.batch)
        order = np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.pool.images))
        return np.sort(order[position * self.plan.batch : (position + 1) * self.plan.batch])

    def _step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.at.step)
        device, batch = self.rank.device, self._rows()
        rows = batch[self.rank.share]
        moment = self.plan.seed * 1_000_003 + self.at.step
        chance = torch.Generator().manual_seed(moment)
        torch.manual_seed(moment)  # dropout inside the net
        pixels = pixels_of(torch.from_numpy(self.pool.images[rows]).to(device))
        pixels, where = turned(pixels, torch.from_numpy(self.pool.where[rows]).to(device), chance)
        labels = torch.from_numpy(self.pool.labels[rows]).to(device)
        if (side := self.plan.side(self.at.step)) < self.plan.imgsz:
            pixels, where, labels = nearer(pixels, where, labels, side, chance)
        pixels = augment(pixels, LIGHT, chance, Part(self.rank.share, len(batch))).contiguous(
            memory_format=torch.channels_last
        )
        with (
            self.rank.shared_statistics(),
            torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"),
        ):
            logits = self.learner(pixels)
        losses = losses_of(logits, labels, where, self.rank.total)
        loss = summed(losses)
        if not torch.isfinite(self.rank.total(loss)):
            raise TrainingError(f"the loss is not a number at step {self.at.step}; try a smaller --lr")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.rank.add_gradients(self.learner.parameters())
        nn.utils.clip_grad_norm_(self.learner.parameters(), MAX_GRADIENT)
        self.optimizer.step()
        self.average.update_parameters(self.learner)
        self.at.step += 1
        for name, value in losses.items():
            now = float(self.rank.total(value))
            self.at.losses[name] = now + 0.98 * (self.at.losses.get(name, now) - now)

    def _note(self) -> str:
        return "  ".join(f"{name} {loss:.3f}" for name, loss in self.at.losses.items() if "_" not in name)


def _groups(learner: nn.Module, decay: float) -> list[dict[str, Any]]:
    """No weight decay on norms and biases."""
    parameters = list(learner.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
