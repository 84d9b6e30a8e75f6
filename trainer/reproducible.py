"""The same seed gives the same run on the same machine."""

from __future__ import annotations

import os
from typing import Any

import torch


def make_reproducible(seed: int, device: torch.device) -> None:
    """Seeds torch, and on CUDA takes kernels that add up in one order, at the cost of some speed. Call it before the device
    is used: cuBLAS reads its setting when it starts. An operator that has no such kernel warns of it and goes on."""
    torch.manual_seed(seed)
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    deterministic: Any = torch.utils.deterministic  # torch's stubs do not know what is set here
    deterministic.fill_uninitialized_memory = False  # nothing in this room reads what it did not write
    torch.use_deterministic_algorithms(True, warn_only=True)
