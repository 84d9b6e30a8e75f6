"""Tells on stderr how far a flash is."""

from __future__ import annotations

import sys
from typing import Protocol, TextIO


class Reporter(Protocol):
    """Hears of the steps of a flash."""

    def step(self, name: str) -> None:
        """A step begins."""

    def sent(self, done: int, total: int) -> None:
        """So many bytes of the upload are on their way."""


class ConsoleReporter:
    """Lines for the steps; on a terminal the upload's share is kept up to date."""

    def __init__(self, host: str, stream: TextIO | None = None) -> None:
        self._host = host
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = -1

    def step(self, name: str) -> None:
        """One line."""
        self._stream.write(f"{self._host}: {name}\n")
        self._stream.flush()

    def sent(self, done: int, total: int) -> None:
        """The share, where somebody sees it change."""
        share = 100 * done // max(total, 1)
        if self._live and share != self._shown:
            self._shown = share
            self._stream.write(f"\r{self._host}: {share} %" + ("\n" if done >= total else ""))
            self._stream.flush()
