"""What a net gives for pictures of a training run, in batches that fit into the device's memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.trainer.accumulation import halved, require_several
from edgetl.trainer.data import TrainingData
from edgetl.trainer.scratch import scratch_array

BATCH = 64


@torch.inference_mode()
def outputs_of(
    net: Callable[[Tensor], Tensor],
    data: TrainingData,
    rows: NDArray[np.int64],
    device: torch.device,
    batch: int = BATCH,
    on_batch: Callable[[Tensor], None] = lambda _: None,
) -> Tensor:
    """N×values, on the CPU and, since there may be many, on disk. `on_batch` is told what each batch gave. Where memory does
    not suffice, batches are halved; raises TrainingError where not even one picture fits."""
    found: NDArray[np.float32] = np.zeros((0, 0), np.float32)
    done = 0
    while done < len(rows):
        part = rows[done : done + batch]
        pixels = next(iter(data.batches(part, len(part))))[0]
        try:
            values = net(pixels.to(device)).float().cpu()
        except torch.OutOfMemoryError as error:
            require_several(len(part), error)
        else:
            if done == 0:
                found = scratch_array((len(rows), values.shape[1]), np.float32)
            found[done : done + len(part)] = values.numpy()
            done += len(part)
            on_batch(values)
            continue
        batch = halved(len(part))
    return torch.from_numpy(found)
