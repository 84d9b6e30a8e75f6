"""Waits for what must come to pass, on a machine that may be slow."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 25.0


def until(holds: Callable[[], object], what: str = "") -> None:
    """Returns as soon as it holds; fails the test when it has not within DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.005)
