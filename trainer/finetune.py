"""Fine-tuning: free layers, earlier ones more slowly, cosine schedule, averaged weights, the best on val kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgetl.errors import TrainingError
from edgetl.trainer.accumulation import accumulate
from edgetl.trainer.augment import PRESETS, Part, augment
from edgetl.trainer.blending import Blend, Weights, best_blend, between, blends_of
from edgetl.trainer.data import WHOLE, TrainingData
from edgetl.trainer.distillation import Teacher, distillation_loss
from edgetl.trainer.folding import Folded
from edgetl.trainer.improvement import Judgement, balanced_loss, judgement
from edgetl.trainer.inference import outputs_of
from edgetl.trainer.layers import Layers, set_rate
from edgetl.trainer.mixing import mixing
from edgetl.trainer.network import Network
from edgetl.trainer.overfitting import overfitting
from edgetl.trainer.probe import balanced_of
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import ALONE, Rank
from edgetl.trainer.selection import EpochRow, Progressing
from edgetl.trainer.settings import Settings

SMALL_SET = 2000  # pictures; below, batch-norm statistics of pretrained nets are kept, since batches tell too little
MAX_GRADIENT = 2.0

_log = logging.getLogger("edgetl.train")


class Validation(msgspec.Struct, frozen=True):
    """What a net makes of val: its loss, every class weighing what it weighs in train, and its balanced accuracy."""

    loss: float
    accuracy: float
    judgement: Judgement


class Finetuning:
    """The state of one fine-tuning: network, weight average, optimizer, and how far it has come."""

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        settings: Settings,
        device: torch.device,
        teacher: Teacher | None = None,
        rank: Rank = ALONE,
    ) -> None:
        self.rank = rank
        self._keep_statistics = _keeps_statistics(settings, len(data.rows("train")))
        self.network = network = network if self._keep_statistics else rank.synchronized(network)
        rank.align(network)
        self.data = data
        self.settings = settings
        self.device = device
        self.teacher = teacher
        assert settings.epochs is not None, "the epochs are decided before"
        self.epochs = settings.epochs
        self.patience = settings.patience or self.epochs
        self.all_free_from = math.ceil(settings.unfreeze * self.epochs)  # epochs; before, layers still wait
        self.margin = settings.margin or 0.0
        self._augments_here = False
        self._grey = data.is_grey("train")
        self.at = Progressing()
        self.start: dict[str, Tensor] = {}  # the weights that it began with, where they are to be blended in
        self.between_ends: tuple[Blend, ...] = ()  # those that were judged, whether one counts or not
        self.blend: Blend | None = None  # the one that counts; `network` then has its weights
        self.steps = max(1, math.ceil(len(data.rows("train")) / settings.batch))
        # It averages over about an epoch and a half.
        decay = min(0.998, 1 - 1 / max(10.0, 1.5 * self.steps)) if settings.average else 0.0
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
        self.layers = Layers(network, settings)
        self.optimizer = torch.optim.AdamW(self.layers.groups, lr=settings.rate)
        self.class_weights = data.class_weights().to(device)
        self._loss_weights = self.class_weights if settings.balance in ("weights", "auto") else None
        folds = self._keep_statistics and device.type == "cpu" and not settings.compile
        self._folded = Folded(network, network.size) if folds else nullcontext()
        self._mix = mixing(settings.mixup, settings.cutmix, len(data.labels))
        self._shown = WHOLE if self._mix is not None else rank.share  # what is blended must be there whole
        self.micro_batch = settings.batch

    def run(self, on_epoch: Callable[[Finetuning, EpochRow, bool], None], reporter: Reporter) -> None:
        """Trains to the last epoch or until patience ends; `on_epoch` is told each row and whether it is the best."""
        if not self.at.rows:
            before = self._validate(self.network)
            self.at.start = before.judgement if self.settings.pretrained else None
            if self.settings.blend and self.settings.pretrained:
                self.start = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            self._note(
                EpochRow(0, math.nan, math.nan, before.loss, before.accuracy, 0.0, 0.0), True, on_epoch, reporter
            )
        while self.at.epoch < self.epochs:
            start = time.monotonic()
            epoch = self.at.epoch + 1
            held = self.layers.held(self.at.epoch / self.epochs, self.at.held_more)
            self.layers.hold(held)
            loss, accuracy = self._train_epoch(epoch, reporter)
            found = self._validate(self.average.module)
            if not math.isfinite(found.loss):
                raise _no_number("the loss on val", f"after epoch {epoch}")
            rate = self.optimizer.param_groups[-1]["lr"]
            self.at.epoch = epoch
            row = self.rank.agreed(
                EpochRow(epoch, loss, accuracy, found.loss, found.accuracy, rate, time.monotonic() - start, held)
            )
            counts = self.at.takes_lead(row, found.judgement, self._truth, self.margin)
            self._note(row, counts, on_epoch, reporter)
            self._watch(reporter)
            if epoch - max(self.at.leading_epoch, self.all_free_from) >= self.patience:
                reporter.say(f"stopped early: no gain on val for {self.patience} epochs")
                break
        self._blend(reporter)
        self._say_start_stays(reporter)

    @property
    def _truth(self) -> NDArray[np.int64]:
        return self.data.targets[self.data.rows("val")]

    def _blend(self, reporter: Reporter) -> None:
        """Looks between the start and the last epoch for a net that is better than both and not worse than the leading one."""
        if not self.start or self.at.epoch == 0 or self.at.start is None:
            return
        end = self.average.module.state_dict()
        least = self.settings.blend_least
        self.between_ends = blends_of(self.start, end, self._judge, least or 0.0)
        found = best_blend(self.between_ends, self._truth)
        if not self.at.yields_to(found, self._truth, self.margin, judged_elsewhere=least is not None):
            return
        self.network.load_state_dict(between(self.start, end, found.share))
        self.blend = found
        if found.share < 1:
            loss, before = (balanced_loss(judged, self._truth) for judged in (found.judgement, self.at.start))
            reporter.say(
                f"blended: {found.share:.0%} of the way from the start to epoch {self.at.epoch}; calibrated val loss {loss:.3f}, "
                f"at the start {before:.3f}"
            )

    def _judge(self, weights: Weights) -> Judgement:
        self.network.load_state_dict(weights)
        return self._validate(self.network).judgement

    def _say_start_stays(self, reporter: Reporter) -> None:
        leading = self.at.row(self.at.leading_epoch)
        if self.blend is None and self.at.best_epoch == 0 < leading.epoch and self.at.beats_start(leading):
            start = self.at.rows[0]
            reporter.say(
                f"the probe stays: val balanced accuracy rose from {start.val_balanced_accuracy:.4f} to "
                f"{leading.val_balanced_accuracy:.4f}, which is within the noise of {len(self.data.rows('val'))} pictures"
            )

    def _watch(self, reporter: Reporter) -> None:
        """Against overfitting, half of the layers that are still free are held too.

        Only what was pretrained is worth holding: the first layers of a net that begins from nothing know little yet, and
        the loss on val of its average, which is raw at first, says nothing of overfitting.
        """
        rows = self.at.rows
        if not (self.settings.watch and self.settings.pretrained):
            return
        epochs = overfitting(rows[self.at.watched_from :])
        if not epochs:
            return
        self.at.watched_from = len(rows)
        held = rows[-1].held
        self.at.held_more = self.layers.more_for(held + (self.layers.count - held) // 2)
        now = self.layers.held(1.0, self.at.held_more)
        if now > held:
            reporter.say(
                f"overfitting: val loss rose from {rows[-epochs - 1].val_loss:.3f} to {rows[-1].val_loss:.3f} over {epochs} "
                f"epochs while the loss in training fell; from here {now} of {self.layers.count} layers are held still"
            )

    def _note(
        self, row: EpochRow, better: bool, on_epoch: Callable[[Finetuning, EpochRow, bool], None], reporter: Reporter
    ) -> None:
        self.at.rows.append(row)
        if better:
            self.at.best_epoch = row.epoch
        trained = "" if row.epoch == 0 else f"loss {row.train_loss:.3f}  accuracy {row.train_accuracy:.3f}  "
        reporter.say(
            f"epoch {row.epoch:>3}/{self.epochs}  {trained}val loss {row.val_loss:.3f}  "
            f"val balanced accuracy {row.val_balanced_accuracy:.4f}{'  best' if better else ''}  {row.seconds:.0f} s"
        )
        on_epoch(self, row, better)

    def _train_epoch(self, epoch: int, reporter: Reporter) -> tuple[float, float]:
        self.network.train()
        if self._keep_statistics:
            _keep_statistics(self.network)
        self.layers.keep_held_statistics(self.network)
        generator = torch.Generator(self.device).manual_seed(self.settings.seed * 100_003 + epoch)
        torch.manual_seed(self.settings.seed * 100_003 + epoch)  # dropout inside the net
        rows = self.data.order("train", self.settings.seed, epoch, balanced=self.settings.balance == "sampling")
        rest = len(rows) % self.settings.batch
        if rest == 1 or (0 < rest < self.rank.count and not self._keep_statistics):
            rows = rows[:-rest]  # batch norm cannot take the statistics of one picture, or of none in some process
        reporter.begin(f"epoch {epoch}/{self.epochs}", self.steps)
        losses, right, seen = 0.0, 0, 0
        batches = self.data.batches(rows, self.settings.batch, self.device, self._shown)
        for step, (pixels, targets) in enumerate(batches):
            loss, hits = self._step(pixels, targets, (epoch - 1) * self.steps + step, generator)
            losses, right, seen = losses + loss * len(targets), right + hits, seen + len(targets)
            reporter.advance(step + 1, f"loss {losses / seen:.3f}  accuracy {right / seen:.3f}")
        return losses / seen, right / seen

    def _step(self, pixels: Tensor, targets: Tensor, step: int, generator: torch.Generator) -> tuple[float, int]:
        """One update of the weights: the loss, and how many pictures were judged right."""
        set_rate(self.optimizer, _schedule(step, self.epochs * self.steps, self.settings.warmup))
        pixels = self._augmented(pixels, Part(self._shown, len(targets)), generator)
        wanted, share = targets, self.rank.share
        if self._mix is not None:
            pixels, wanted = self._mix(pixels, targets)
            pixels = pixels[share]
        norm, wanted, targets = self._norm(wanted), wanted[share], targets[share]
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad(set_to_none=True)
        shares = self.rank.count > 1 and not self._keep_statistics  # statistics, between layers
        loss, hits, self.micro_batch = self.rank.together(lambda: accumulate(
            lambda part: self._gradient(pixels[part], wanted[part], targets[part], norm, step),
            len(targets), self.micro_batch, self.optimizer.zero_grad, whole=shares,
        ), sends=shares)  # fmt: skip
        self.rank.add_gradients(self.network.parameters())
        size = nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT)
        if not torch.isfinite(size):  # nothing has moved yet: weights and average are the last good ones
            raise _no_number("the gradient", self._place(step))
        self.optimizer.step()
        self.average.update_parameters(self.network)
        if self.rank.count > 1:
            loss, hits = self.rank.total(torch.tensor([loss, hits], dtype=torch.float64, device=self.device)).tolist()
        return loss, int(hits)

    def _augmented(self, pixels: Tensor, part: Part, generator: torch.Generator) -> Tensor:
        """The batch as training changes it: on the device, or where it does not fit there, on the CPU."""
        how, random = PRESETS[self.settings.augmentation], generator.get_state()
        if not self._augments_here:
            try:
                return augment(pixels, how, generator, part, grey=self._grey)
            except torch.OutOfMemoryError:
                self._augments_here = True
                generator.set_state(random)
                _log.warning("out of memory on the device: pictures are changed on the CPU from now on")
        return augment(pixels.cpu(), how, generator, part, grey=self._grey)

    def _place(self, step: int) -> str:
        return f"at step {step} (epoch {step // self.steps + 1}, batch {step % self.steps + 1})"

    def _norm(self, wanted: Tensor) -> float:
        """What the sum of the pictures' losses is divided by, so that parts of a batch add up to the batch's mean."""
        if self._loss_weights is None or wanted.ndim == 2:
            return float(len(wanted))
        return float(self._loss_weights[wanted].sum())

    def _gradient(self, pixels: Tensor, wanted: Tensor, targets: Tensor, norm: float, step: int) -> tuple[float, int]:
        """Adds the gradient of a part of the batch; its share of the loss, and how many were judged right."""
        pixels = pixels.to(self.device)
        with (
            self.rank.shared_statistics(),
            self._folded,
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"),
        ):
            logits = self.network(pixels)
        smoothing = self.settings.label_smoothing
        summed = F.cross_entropy(logits.float(), wanted, self._loss_weights, reduction="sum", label_smoothing=smoothing)
        if self.teacher is not None and self.settings.distill_weight > 0:
            share = self.settings.distill_weight
            summed = (1 - share) * summed + share * self._from_teacher(logits.float(), pixels, wanted)
        loss = summed / norm
        if not torch.isfinite(loss):
            raise _no_number("the loss", self._place(step))
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), int((logits.argmax(dim=1) == targets).sum())

    def _from_teacher(self, logits: Tensor, pixels: Tensor, wanted: Tensor) -> Tensor:
        """The part of the loss that the teacher's answers make up, classes weighing what they weigh by their labels."""
        assert self.teacher is not None
        weights = self._loss_weights
        if weights is not None:
            weights = wanted @ weights if wanted.ndim == 2 else weights[wanted]
        return distillation_loss(logits, self.teacher.logits(pixels), self.settings.temperature, weights)

    def _validate(self, network: nn.Module) -> Validation:
        network.eval()
        rows = self.data.rows("val")
        logits = self.rank.gathered(rows, lambda mine: outputs_of(network, self.data, mine, self.device))
        targets = torch.from_numpy(self.data.targets[rows])
        loss = float(F.cross_entropy(logits, targets, self.class_weights.cpu()))
        return Validation(loss, balanced_of(logits, targets), judgement(logits, targets))


def _no_number(what: str, where: str) -> TrainingError:
    return TrainingError(f"{what} is not a number {where}; the best weights so far are kept; try a smaller --lr")


def _keep_statistics(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _keeps_statistics(settings: Settings, pictures: int) -> bool:
    if settings.statistics == "auto":
        return settings.pretrained and pictures < SMALL_SET
    return settings.statistics == "keep"


def _schedule(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then half a cosine down to 1 %."""
    warm_up = max(1, round(total * warmup))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))
