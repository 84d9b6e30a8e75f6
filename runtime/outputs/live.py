"""Outputs that show what is so now: a controller that missed a verdict has no use for it later."""

from __future__ import annotations

from typing import Protocol

from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict


class Live(Protocol):
    """One such output. Only `close` may wait."""

    def start(self) -> None:
        """Begins; a receiver that is away is tried again."""

    def show(self, verdict: Verdict) -> None:
        """Takes the newest verdict; one that was not passed on yet may be overtaken."""

    def health(self) -> SinkHealth:
        """How the receiver is."""

    def close(self, timeout_s: float) -> None:
        """Puts the receiver into its safe state and ends."""
