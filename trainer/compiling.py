"""torch.compile for a network that trains, where a compiler can be found."""

from __future__ import annotations

import torch
from torch import Tensor

from edgetl.trainer.network import Network
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import Rank


def compile_network(network: Network, rank: Rank, reporter: Reporter) -> bool:
    """Compiles it in place: its values keep their names, and copies of it are plain. Says why where that cannot be; whether
    it could."""
    if rank.count > 1 and rank.device.type != "cuda":
        reporter.say("--compile: not for several processes on CPUs; it trains as it is")
        return False
    try:
        torch.compile(_twice)(torch.ones(2, device=rank.device))
    except Exception as error:  # each backend raises its own where its compiler is missing
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        reporter.say(f"--compile: no working compiler here ({reason}); it trains as it is")
        return False
    network.compile()
    return True


def _twice(values: Tensor) -> Tensor:
    return values * 2 + 1
