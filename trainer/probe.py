"""The probe: a frozen backbone, its features computed once, and a linear head on them."""

from __future__ import annotations

import hashlib
import inspect
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgetl.errors import TrainingError
from edgetl.runtime.metrics import balanced_accuracy, confusion_matrix
from edgetl.trainer import network as network_module
from edgetl.trainer.augment import Augmentation, augment
from edgetl.trainer.data import TrainingData
from edgetl.trainer.feature_cache import FeatureCache, space_of
from edgetl.trainer.inference import outputs_of
from edgetl.trainer.network import FeatureNet, Network
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import ALONE, Rank
from edgetl.trainer.scratch import scratch_array
from edgetl.trainer.store import Pixels, decoding
from edgetl.trainer.torch_stack import import_timm

# L2 penalties tried, the strongest first; features are scaled, so that they mean about the same everywhere.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4)
FAINT = 0.1  # of the features' usual deviation
CHANGED_COPIES = 2
_BLOCK = 512  # pictures whose features are copied at once


class Head(msgspec.Struct):
    """A linear head: `weight` classes×features, `bias` classes. `penalty` was chosen on val; `seconds`: what all that took."""

    weight: Tensor
    bias: Tensor
    penalty: float
    val_loss: float
    val_balanced_accuracy: float
    seconds: float = 0.0


def compute_features(
    network: FeatureNet,
    data: TrainingData,
    rows: NDArray[np.int64],
    batch: int,
    device: torch.device,
    reporter: Reporter,
    rank: Rank = ALONE,
) -> Tensor:
    """N×features of the pictures `rows`, in evaluation mode, on the CPU. Those of pictures that this net saw before, in
    another run too, are not computed again. Raises TrainingError where the weights are broken."""
    network.eval()
    reporter.begin("features", len(rows))
    if not isinstance(data.images, Pixels):
        return rank.gathered(
            rows, lambda mine: _computed(network.features, data, mine, batch, device, reporter.advance)
        )
    samples = data.images.samples
    pictures = [samples[row].sha256 for row in rows]
    cache = FeatureCache(_space(network, data.images, device))
    values, known = cache.recall(pictures)
    known = rank.known_to_all(known)
    missing = np.flatnonzero(~known)
    if len(missing):
        done = len(rows) - len(missing)
        found = rank.gathered(
            rows[missing],
            lambda mine: _computed(
                network.features, data, mine, batch, device, lambda n: reporter.advance(done + n * rank.count)
            ),
        )
        if rank.first:
            cache.keep([pictures[position] for position in missing], found.numpy())
        if done == 0:
            return found
        values[missing] = found.numpy()
    return torch.from_numpy(values)


def _space(network: FeatureNet, images: Pixels, device: torch.device) -> str:
    """All that features depend on beside the pictures: net, preprocessing, decoders, our code, and what computes."""
    code = inspect.getsource(network_module) + inspect.getsource(sys.modules[type(network).__module__])
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return space_of(
        "features", net=network.digest(), code=hashlib.sha256(code.encode()).hexdigest(), torch=torch.__version__,
        timm=import_timm().__version__, device=where, decoding=decoding(images.how),
    )  # fmt: skip


def _computed(
    features: Callable[[Tensor], Tensor],
    data: TrainingData,
    rows: NDArray[np.int64],
    batch: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> Tensor:
    done = 0
    if isinstance(data.images, Pixels):
        data.images.fill(rows)

    def check(found: Tensor) -> None:
        nonlocal done
        if not torch.isfinite(found).all():
            raise TrainingError("the weights give features that are not numbers; take other --weights")
        done += len(found)
        advance(done)

    return torch.from_numpy(outputs_of(features, data, rows, device, batch, check).numpy())


def features_of_changed(
    network: Network,
    data: TrainingData,
    how: Augmentation,
    seed: int,
    batch: int,
    device: torch.device,
    reporter: Reporter,
) -> Tensor:
    """Features of the training pictures, CHANGED_COPIES times over, each time changed anew as training would. Raises TrainingError
    where the weights are broken."""
    rows, generator = np.tile(data.rows("train"), CHANGED_COPIES), torch.Generator().manual_seed(seed)
    grey = data.is_grey("train")
    network.eval()
    reporter.begin("features of changed pictures", len(rows))

    def features(pixels: Tensor) -> Tensor:
        changed = augment(pixels, how, generator, grey=grey).contiguous(memory_format=torch.channels_last)
        return network.features(changed)

    return _computed(features, data, rows, batch, device, reporter.advance)


def fit_head(train: Tensor, targets: Tensor, val: Tensor, val_targets: Tensor, class_weights: Tensor) -> Head:
    """Fits a head for each penalty and keeps the one with the smallest loss on val. That falls and then rises, so the weaker
    penalties after the first that is worse, which take longest, are not tried."""
    started = time.monotonic()
    mean, unit = moments(train)
    scaled = standardized(train, mean, unit)
    best: Head | None = None
    fitted: tuple[Tensor, Tensor] | None = None
    for penalty in PENALTIES:
        fitted = fit_linear(scaled, targets, class_weights, penalty, fitted)
        weight, bias = folded(*fitted, mean, unit)
        logits = val @ weight.T + bias
        loss = float(F.cross_entropy(logits, val_targets, class_weights))
        if best is None or loss < best.val_loss:
            best = Head(weight, bias, penalty, loss, balanced_of(logits, val_targets))
        elif loss > best.val_loss:
            break
    assert best is not None
    best.seconds = time.monotonic() - started
    return best


def moments(features: Tensor, rows: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
    """Mean and unit of each feature, over all the pictures or over some; without a copy of them.

    The unit lies half way between the feature's own deviation and the usual one, as their geometric mean: what varies little
    among these pictures is more often chance than what varies much, but not in proportion (Pareto scaling; R. A. van den Berg
    et al., 2006, BMC Genomics 7:142; docs/adr/0028 says what it gains). A deviation counts as at least FAINT of the usual one: a
    fainter feature would get weights beside which an int8 head rounds the others away, and its own values are lost among the
    steps of the rest.
    """
    chosen = np.arange(len(features)) if rows is None else rows
    parts = [torch.from_numpy(chosen[start : start + _BLOCK]) for start in range(0, len(chosen), _BLOCK)]
    mean, squares = torch.zeros(2, features.shape[1], dtype=torch.float64)
    # Summed in place: a result that a block leaves behind would keep the block's memory from being used again.
    for part in parts:
        mean += features[part].sum(dim=0, dtype=torch.float64)
    mean /= len(chosen)
    for part in parts:
        squares += (features[part] - mean).square().sum(dim=0)
    variance = squares / max(1, len(chosen) - 1)
    usual = float(variance.mean())
    unit = (variance.clamp_min(FAINT**2 * usual) * usual) ** 0.25
    return mean.float(), unit.float().clamp_min(1e-6)


def standardized(features: Tensor, mean: Tensor, unit: Tensor, rows: NDArray[np.int64] | None = None) -> Tensor:
    """N×features of mean 0 in their units, of all the pictures or of some; on disk, since there may be many."""
    chosen = np.arange(len(features)) if rows is None else rows
    scaled = torch.from_numpy(scratch_array((len(chosen), features.shape[1]), np.float32))
    for start in range(0, len(chosen), _BLOCK):
        part = torch.from_numpy(chosen[start : start + _BLOCK])
        scaled[start : start + _BLOCK] = (features[part] - mean) / unit
    return scaled


def folded(weight: Tensor, bias: Tensor, mean: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """The head that takes plain features and says what this one says of standardized ones."""
    weight = weight / unit
    return weight, bias - weight @ mean


def fit_linear(
    features: Tensor, targets: Tensor, class_weights: Tensor, penalty: float, start: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Weight (classes×features) and bias of a linear head on N×features in their units, by L-BFGS; `start` is a head to begin
    with, which saves steps where the penalty is near that head's."""
    weight, bias = start or (torch.zeros(len(class_weights), features.shape[1]), torch.zeros(len(class_weights)))
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(features @ weight.T + bias, targets, class_weights) + penalty * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def balanced_of(logits: Tensor, targets: Tensor) -> float:
    """Balanced accuracy of N×classes logits."""
    truth, predicted = targets.cpu().numpy(), logits.argmax(dim=1).cpu().numpy()
    return balanced_accuracy(confusion_matrix(truth, predicted, logits.shape[1]))


def logits_of(network: Network, features: Tensor) -> Tensor:
    """What the network's classifier says of N×features, on the CPU."""
    weight, bias = network.head.weight.detach().cpu(), network.head.bias.detach().cpu()
    return features @ weight.reshape(len(weight), -1).T + bias


def train_probe(
    network: Network, data: TrainingData, batch: int, device: torch.device, reporter: Reporter, rank: Rank = ALONE
) -> tuple[Head, Tensor]:
    """Fits the probe and puts it into the network's classifier; also the features of the training pictures."""
    rows, val_rows = data.rows("train"), data.rows("val")
    features = compute_features(network, data, np.concatenate([rows, val_rows]), batch, device, reporter, rank)
    train, val = features[: len(rows)], features[len(rows) :]
    targets, val_targets = (torch.from_numpy(data.targets[r]) for r in (rows, val_rows))
    head = fit_head(train, targets, val, val_targets, data.class_weights())
    with torch.no_grad():
        network.head.weight.copy_(head.weight.view_as(network.head.weight))
        network.head.bias.copy_(head.bias)
    return head, train
