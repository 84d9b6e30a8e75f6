"""Fixtures of the outputs' tests: a line's outputs, opened as `edgetl run` opens them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetl.runtime.outputs.config import OutputConfig
from edgetl.runtime.outputs.sink import Outputs, open_outputs
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.status import SinkHealth, StatusBoard
from edgetl.runtime.verdict import Verdict

FRAME = Frame(0, "camera", None, 0.0, 0.0)
STATION = "press-3"


class Station:
    """A line without a camera: verdicts are said by the test."""

    def __init__(self, *configs: OutputConfig, folder: Path, **spool: object) -> None:
        self.board = StatusBoard(stuck_after_s=3600)
        self.board.tell(state="running")
        self.outputs: Outputs = open_outputs(configs, SpoolConfig(folder=str(folder), **spool), STATION, self.board)  # type: ignore[arg-type]
        self.board.watch([self.outputs])
        self._next = self.outputs.next_sequence or itertools.count(1).__next__

    def say(self, count: int = 1, verdict: str = "OK", **more: object) -> list[int]:
        """Gives verdicts; returns their numbers."""
        given = []
        for _ in range(count):
            number = self._next()
            said = Verdict(sequence=number, verdict=verdict, label=None if verdict == "FAULT" else "good", score=0.97, source="cam", frame=number,
                           part=number, time_s=1.0, latency_ms=2.5, device=STATION, time="2026-01-02T03:04:05.678Z", synced=True, **more)  # type: ignore[arg-type]  # fmt: skip
            self.board.progress(trusted=verdict != "FAULT")
            self.board.verdict(said)
            self.outputs.show(FRAME, said)
            given.append(number)
        return given

    def health(self, name: str) -> SinkHealth:
        """What the status says of an output."""
        return next(h for h in self.board.snapshot().sinks if h.name == name)


Open = Callable[..., Station]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Open]:
    opened: list[Station] = []

    def open_(*configs: OutputConfig, **spool: object) -> Station:
        opened.append(Station(*configs, folder=tmp_path / "spool", **spool))
        return opened[-1]

    yield open_
    for one in opened:
        one.outputs.close()
