"""A trained run as something that gives logits for one picture, as the interpreters do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.runtime.evaluation import Logits
from edgetl.runtime.preprocess import Image
from edgetl.trainer.network import channels_last, pixels_of
from edgetl.trainer.run_folder import Run


def float_logits(run: Run) -> Logits:
    """The run's network as a function from S×S×3 uint8 RGB to logits."""
    network = channels_last(run.network())

    @torch.inference_mode()
    def logits(image: Image) -> NDArray[np.float32]:
        out: NDArray[np.float32] = network(pixels_of(torch.from_numpy(image[None])))[0].numpy()
        return out

    return logits
