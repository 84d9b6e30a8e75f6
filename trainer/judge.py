"""A trained run as something that gives logits for one picture, as the interpreters do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.runtime.anomaly import Detector
from edgetl.runtime.evaluation import Logits
from edgetl.runtime.preprocess import Image
from edgetl.trainer.network import channels_last, pixels_of
from edgetl.trainer.run_folder import FLOAT, Run, read_bank


def float_logits(run: Run) -> Logits:
    """The run's judgement as a function from S×S×3 uint8 RGB to logits."""
    outputs, detector = float_outputs(run), float_detector(run)
    return outputs if detector is None else lambda image: detector.logits(outputs(image))


def float_detector(run: Run) -> Detector | None:
    """What judges the feature maps of a one-class run's network; None for a classifier. Raises RunError."""
    record = run.record.detector
    if record is None:
        return None
    own = record.banks[FLOAT]
    return Detector(record, read_bank(run.folder).entries, own.threshold, own.spread)


def float_outputs(run: Run) -> Logits:
    """What the run's network gives: logits, or the feature maps that a detector judges."""
    network = channels_last(run.network())

    @torch.inference_mode()
    def outputs(image: Image) -> NDArray[np.float32]:
        out: NDArray[np.float32] = network(pixels_of(torch.from_numpy(image[None])))[0].numpy()
        return out

    return outputs
