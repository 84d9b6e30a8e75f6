"""The newest verdicts, for outputs that show what is so now."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

import msgspec

from edgetl.runtime.outputs.config import SafeState
from edgetl.runtime.outputs.registers import HISTORY, bits, head, registers
from edgetl.runtime.status import LineStatus
from edgetl.runtime.verdict import Verdict


class Board(Protocol):
    """What is asked of the line's status board."""

    def snapshot(self) -> LineStatus:
        """The whole status."""

    def ready(self) -> bool:
        """Whether a part that came now would be judged."""

    def stuck(self) -> bool:
        """Whether the line lets no frame through."""


class Notice(msgspec.Struct, frozen=True):
    """One look: the newest verdicts, newest first, and whether the line inspects."""

    newest: tuple[Verdict, ...]
    ready: bool
    toggle: bool


class Bulletin:
    """Takes verdicts on one thread, shows them on others."""

    def __init__(self, board: Board, safe_state: SafeState) -> None:
        self._board = board
        self._safe_state: SafeState = safe_state
        self._lock = threading.Lock()
        self._newest: deque[Verdict] = deque(maxlen=HISTORY)
        self._toggle = False
        self._ended = False
        self._heartbeat = 0

    def show(self, verdict: Verdict) -> None:
        """A verdict was said."""
        with self._lock:
            self._newest.appendleft(verdict)
            self._toggle = not self._toggle

    def end(self) -> None:
        """No more will be said: from now on the safe state."""
        with self._lock:
            self._ended = True

    def beat(self) -> None:
        """Time has passed. The heart beats on only while frames go through the loop: whoever watches it for life must
        not be deceived by a thread that lives on beside a stuck one."""
        self._heartbeat += not self._board.stuck()

    @property
    def heartbeat(self) -> int:
        """How often it has beaten."""
        return self._heartbeat

    def notice(self) -> Notice:
        """What is so now."""
        with self._lock:
            return Notice(tuple(self._newest), not self._ended and self._board.ready(), self._toggle)

    def status(self) -> LineStatus:
        """The line's status; stopped once nothing more will be said."""
        status = self._board.snapshot()
        over = self._ended and status.state in ("running", "stuck")
        return msgspec.structs.replace(status, state="stopped") if over else status

    def bits(self) -> tuple[bool, ...]:
        """The bits of the register map."""
        now = self.notice()
        return bits(now.newest[0] if now.newest else None, now.ready, now.toggle, self._safe_state)

    def registers(self) -> list[int]:
        """The whole register map."""
        return registers(self.notice().newest, self.status(), self._heartbeat)

    def head(self) -> list[int]:
        """The registers about the newest verdict."""
        now = self.notice()
        return head(now.newest[0] if now.newest else None, self.status().state, self._heartbeat)
