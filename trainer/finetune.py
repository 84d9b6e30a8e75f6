"""Fine-tuning: all layers, earlier ones more slowly, cosine schedule, averaged weights, the best on val kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgetl.errors import TrainingError
from edgetl.trainer.augment import PRESETS, augment
from edgetl.trainer.data import TrainingData, shuffled
from edgetl.trainer.network import Network
from edgetl.trainer.probe import balanced_of
from edgetl.trainer.progress import Reporter
from edgetl.trainer.settings import Settings

SMALL_SET = 2000  # pictures; below, batch-norm statistics of pretrained nets are kept, since batches tell too little
WARM_UP = 0.1  # of all steps
MAX_GRADIENT = 2.0


class EpochRow(msgspec.Struct, frozen=True):
    """One line of results.csv. Epoch 0 is the state before fine-tuning."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_balanced_accuracy: float
    learning_rate: float
    seconds: float


class Progressing(msgspec.Struct):
    """Everything that a resumed run needs, apart from the tensors of network, average and optimizer."""

    epoch: int = 0
    best_epoch: int = 0
    rows: list[EpochRow] = msgspec.field(default_factory=list)

    def best(self) -> EpochRow:
        """The row that counts so far."""
        return next(r for r in self.rows if r.epoch == self.best_epoch)

    def better(self, row: EpochRow) -> bool:
        """Whether a row beats the best so far: balanced accuracy on val, and at a tie the smaller loss."""
        if not self.rows:
            return True
        best = self.best()
        return (row.val_balanced_accuracy, -row.val_loss) > (best.val_balanced_accuracy, -best.val_loss)


class Finetuning:
    """The state of one fine-tuning: network, weight average, optimizer, and how far it has come."""

    def __init__(self, network: Network, data: TrainingData, settings: Settings, device: torch.device) -> None:
        self.network = network
        self.data = data
        self.settings = settings
        self.device = device
        self.at = Progressing()
        self.steps = max(1, math.ceil(len(data.rows("train")) / settings.batch))
        decay = min(0.998, 1 - 1 / max(10.0, 1.5 * self.steps))  # averages over about an epoch and a half
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
        self.optimizer = torch.optim.AdamW(_groups(network, settings), lr=settings.rate)
        self.class_weights = data.class_weights().to(device)
        self._freeze_statistics = settings.weights != "none" and len(data.rows("train")) < SMALL_SET

    def run(self, on_epoch: Callable[[Finetuning, EpochRow, bool], None], reporter: Reporter) -> None:
        """Trains to the last epoch or until patience ends; `on_epoch` is told each row and whether it is the best."""
        if not self.at.rows:
            self._note(EpochRow(0, math.nan, math.nan, *self._validate(self.network), 0.0, 0.0), on_epoch, reporter)
        while self.at.epoch < self.settings.epochs:
            start = time.monotonic()
            epoch = self.at.epoch + 1
            loss, accuracy = self._train_epoch(epoch, reporter)
            validated = self._validate(self.average.module)
            rate = self.optimizer.param_groups[-1]["lr"]
            self.at.epoch = epoch
            self._note(EpochRow(epoch, loss, accuracy, *validated, rate, time.monotonic() - start), on_epoch, reporter)
            if epoch - self.at.best_epoch >= self.settings.patience:
                reporter.say(f"stopped early: no gain on val for {self.settings.patience} epochs")
                return

    def _note(self, row: EpochRow, on_epoch: Callable[[Finetuning, EpochRow, bool], None], reporter: Reporter) -> None:
        better = self.at.better(row)
        self.at.rows.append(row)
        if better:
            self.at.best_epoch = row.epoch
        trained = "" if row.epoch == 0 else f"loss {row.train_loss:.3f}  accuracy {row.train_accuracy:.3f}  "
        reporter.say(
            f"epoch {row.epoch:>3}/{self.settings.epochs}  {trained}val loss {row.val_loss:.3f}  "
            f"val balanced accuracy {row.val_balanced_accuracy:.4f}{'  best' if better else ''}  {row.seconds:.0f} s"
        )
        on_epoch(self, row, better)

    def _train_epoch(self, epoch: int, reporter: Reporter) -> tuple[float, float]:
        self.network.train()
        if self._freeze_statistics:
            _keep_statistics(self.network)
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + epoch)
        torch.manual_seed(self.settings.seed * 100_003 + epoch)  # dropout inside the net
        rows = shuffled(self.data.rows("train"), self.settings.seed, epoch)
        if len(rows) % self.settings.batch == 1:
            rows = rows[:-1]  # batch norm cannot take the statistics of one picture
        reporter.begin(f"epoch {epoch}/{self.settings.epochs}", self.steps)
        losses, right, seen = 0.0, 0, 0
        for step, (pixels, targets) in enumerate(self.data.batches(rows, self.settings.batch)):
            loss, hits = self._step(pixels, targets, (epoch - 1) * self.steps + step, generator)
            losses, right, seen = losses + loss * len(targets), right + hits, seen + len(targets)
            reporter.advance(step + 1, f"loss {losses / seen:.3f}  accuracy {right / seen:.3f}")
        return losses / seen, right / seen

    def _step(self, pixels: Tensor, targets: Tensor, step: int, generator: torch.Generator) -> tuple[float, int]:
        _set_rate(self.optimizer, _schedule(step, self.settings.epochs * self.steps))
        pixels = augment(pixels.to(self.device), PRESETS[self.settings.augmentation], generator)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        targets = targets.to(self.device)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            logits = self.network(pixels)
        smoothing = self.settings.label_smoothing
        loss = F.cross_entropy(logits.float(), targets, self.class_weights, label_smoothing=smoothing)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is not a number at step {step} (epoch {step // self.steps + 1}, batch {step % self.steps + 1}); "
                "the best weights so far are kept; try a smaller --lr"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return float(loss.detach()), int((logits.argmax(dim=1) == targets).sum())

    @torch.inference_mode()
    def _validate(self, network: nn.Module) -> tuple[float, float]:
        network.eval()
        rows = self.data.rows("val")
        logits = torch.cat([network(p.to(self.device)).float().cpu() for p, _ in self.data.batches(rows, 64)])
        targets = torch.from_numpy(self.data.targets[rows])
        return float(F.cross_entropy(logits, targets, self.class_weights.cpu())), balanced_of(logits, targets)


def _keep_statistics(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _schedule(step: int, total: int) -> float:
    """Linear warm-up, then half a cosine down to 1 %."""
    warm_up = max(1, round(total * WARM_UP))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def _set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def _groups(network: Network, settings: Settings) -> list[dict[str, object]]:
    """Parameter groups with timm's layer-wise rates; without pretrained weights every layer has the same rate."""
    from timm.optim import param_groups_layer_decay

    decay = 1.0 if settings.weights == "none" else settings.layer_decay
    groups: list[dict[str, object]] = param_groups_layer_decay(
        network.net, weight_decay=settings.weight_decay, layer_decay=decay
    )
    for group in groups:
        group["base_lr"] = group["lr"] = settings.rate * float(group.pop("lr_scale"))  # type: ignore[arg-type]
    return sorted(groups, key=lambda group: float(group["base_lr"]))  # type: ignore[arg-type]
