"""Shows what a long step is doing, on stderr: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter(Protocol):
    """Takes news of a long step."""

    def begin(self, what: str, total: int) -> None:
        """A step of `total` pieces begins."""

    def advance(self, done: int, note: str = "") -> None:
        """`done` pieces of the step are done."""

    def say(self, line: str) -> None:
        """One line worth keeping."""


class ConsoleReporter:
    """A progress bar with time left on a terminal; only the lines worth keeping elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"), console=self._console, disable=not sys.stderr.isatty(), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=1, note="", visible=False)

    def begin(self, what: str, total: int) -> None:
        """A step of `total` pieces begins."""
        self._bar.reset(self._task, description=what, total=total, note="", visible=True)

    def advance(self, done: int, note: str = "") -> None:
        """`done` pieces of the step are done."""
        self._bar.update(self._task, completed=done, note=note)

    def say(self, line: str) -> None:
        """One line worth keeping."""
        self._console.print(line, markup=False)

    def __enter__(self) -> ConsoleReporter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class SilentReporter:
    """Says nothing: for library use and tests."""

    def begin(self, what: str, total: int) -> None:
        """Nothing."""

    def advance(self, done: int, note: str = "") -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
