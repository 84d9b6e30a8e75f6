"""Whether frames show what the network was trained on, by the network's own features: light and sharpness do not tell
another object in the same light."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.trainer.network import channels_last, pixels_of
from edgetl.trainer.run_folder import Run

Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
USUAL = 0.95  # of the training pictures lie nearer to their nearest fellow than what is called far
BATCH = 16


def features_by(run: Run) -> Features | None:
    """What gives a run's features (n×d) of pictures (n×S×S×3); None for a one-class run, whose detector judges each part."""
    if run.record.detector is not None:
        return None
    network = channels_last(run.network())

    @torch.inference_mode()
    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [torch.from_numpy(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
        found: NDArray[np.float32] = torch.cat([network.features(pixels_of(part)) for part in parts]).numpy()
        return found

    return features


def share_far(trained: NDArray[np.float32], seen: NDArray[np.float32]) -> float:
    """The share of pictures whose nearest training picture lies farther than USUAL of the training pictures do from
    theirs. Both n×d, of the angle between features; two training pictures at least."""
    ours, theirs = (_directions(f) for f in (trained, seen))
    among = ours @ ours.T
    np.fill_diagonal(among, -1.0)
    usual = np.quantile(1.0 - among.max(axis=1), USUAL)
    return float(np.mean(1.0 - (theirs @ ours.T).max(axis=1) > usual))


def _directions(features: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = features.astype(np.float64)
    found: NDArray[np.float64] = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    return found
