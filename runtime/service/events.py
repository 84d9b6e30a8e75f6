"""What goes wrong with the verdicts, and that it is over, in the log: once each, not with every frame."""

from __future__ import annotations

import logging
import re

from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict

_log = logging.getLogger("edgetl.line")


class EventLog:
    """A sink that logs when parts get no class, why, and when they do again."""

    def __init__(self) -> None:
        self._trouble: tuple[str, str] | None = None
        self._since = 0

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Compares with what was said last."""
        if verdict is None:
            return
        trouble = None
        if verdict.label is None:  # a model that is unsure of a part is no trouble of the line
            trouble = (verdict.verdict, _kind(verdict.reason or ""))
        if trouble == self._trouble:
            return
        if trouble is not None:
            self._since = verdict.sequence
            _log.warning("%s: %s", verdict.verdict, verdict.reason, extra={"fields": _fields(verdict)})
        else:
            count = verdict.sequence - self._since
            _log.info("verdicts are back after %d without", count, extra={"fields": _fields(verdict)})
        self._trouble = trouble

    def close(self) -> None:
        """Nothing is held back."""


def _kind(reason: str) -> str:
    """A reason without its numbers, which change from frame to frame."""
    return re.sub(r"[0-9.]+", "#", reason)


def _fields(verdict: Verdict) -> dict[str, object]:
    return {name: getattr(verdict, name) for name in ("verdict", "reason", "sequence", "part", "source", "frame")}
