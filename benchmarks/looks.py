"""Looks at the processor's heat between measurements."""

from __future__ import annotations

from collections.abc import Callable

from edgetl.runtime.service.heat import Heat, read_heat, slowed_between


class Looks:
    """Remembers what slowed the processor down at any look, or between two."""

    def __init__(self, read: Callable[[], Heat] = read_heat) -> None:
        self._read = read
        self._last = read()
        self._said: list[str] = []

    def look(self) -> None:
        """One look; what was so at the look before, now, or between counts."""
        now = self._read()
        self._said.append(slowed_between(self._last, now))
        self._last = now

    def said(self, *more: str) -> str:
        """Everything that slowed the processor down, in words, each once; `more` was noticed elsewhere."""
        words = [word for said in (*self._said, *more) if said for word in said.split(", ")]
        return ", ".join(dict.fromkeys(words))
