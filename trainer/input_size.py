"""At which picture size a trained net judges best: a larger picture than it was trained with may show it more, since its
filters meet the same part at another scale. H. Touvron et al., 2019, arXiv:1906.06423."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.improvement import Judgement, improvement, judgement
from edgetl.trainer.network import Network, pixels_of
from edgetl.trainer.probe import balanced_of
from edgetl.trainer.progress import Reporter

FACTORS = (0.75, 0.875, 1.125, 1.25, 1.5)
STEP = 32  # px: by so much the usual nets reduce a picture
LIMITS = (32, 1024)
MARGIN = 2.0  # standard errors; the best of several tries looks better than it is
_BATCH = 32


class Chosen(msgspec.Struct, frozen=True):
    """A size in px and the balanced accuracy on val there."""

    size: int
    accuracy: float


def other_sizes(size: int) -> tuple[int, ...]:
    """The sizes that are tried beside the one in training, in px."""
    tried = {round(size * factor / STEP) * STEP for factor in FACTORS}
    return tuple(sorted(n for n in tried - {size} if LIMITS[0] <= n <= LIMITS[1]))


def takes(network: Network, size: int) -> bool:
    """Whether a net can be given pictures of that size; transformers know the place of each patch."""
    if hasattr(network.net, "patch_embed"):
        return False
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size, device=network.mean.device))
    except (RuntimeError, AssertionError):
        return False
    return True


def choose_size(
    network: Network, root: Path, paths: Sequence[str], truth: NDArray[np.int64], how: Preprocessing, reporter: Reporter
) -> Chosen | None:
    """The size at which the pictures of val are judged clearly better than at `how.size`; None where there is none."""
    targets = torch.from_numpy(truth)
    before = judgement(logits_at(network, root, paths, how), targets)
    found: list[tuple[float, float, Chosen]] = []
    for size in other_sizes(how.size):
        if not takes(network, size):
            continue
        logits = logits_at(network, root, paths, msgspec.structs.replace(how, size=size))
        after, accuracy = judgement(logits, targets), balanced_of(logits, targets)
        reporter.say(f"at {size} px: val balanced accuracy {accuracy:.4f}")
        if _clearly(before, after, truth):
            found.append((accuracy, -float(np.mean(after.losses)), Chosen(size, accuracy)))
    return max(found, key=lambda tried: tried[:2])[2] if found else None


def _clearly(before: Judgement, after: Judgement, truth: NDArray[np.int64]) -> bool:
    return improvement(before, after, truth).beyond(MARGIN)


@torch.inference_mode()
def logits_at(network: Network, root: Path, paths: Sequence[str], how: Preprocessing) -> Tensor:
    """N×classes logits of picture files below `root`, on the CPU, as a network in evaluation mode gives them."""
    network.eval()
    found = []
    for at in range(0, len(paths), _BATCH):
        images = np.stack([preprocess(read_picture(root / path), how) for path in paths[at : at + _BATCH]])
        found.append(network(pixels_of(torch.from_numpy(images)).to(network.mean.device)).float().cpu())
    return torch.cat(found)
