"""How many processor cores a stage may use while others work beside it."""

from __future__ import annotations

import os


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def spare_cores() -> int:
    """The cores that are left when two other stages have one each; at least one. More threads than that only cost."""
    return max(1, cores() - 2)
