"""Rounds go on without who is absent or fails, and say so."""

from __future__ import annotations

from collections.abc import Iterator

from edgetl.benchmarks.peers.rounds import Figures, in_rounds
from edgetl.errors import ExportError, MissingPartError


def test_all_take_turns_and_figures_are_medians() -> None:
    order: list[str] = []

    def turn(name: str, seconds: Iterator[float]) -> Figures:
        order.append(name)
        return {"seconds": next(seconds), "rung": name}

    times = {"a": iter([1.0, 9.0, 2.0]), "b": iter([4, 4, 5])}
    found = in_rounds(3, {name: lambda _, name=name: turn(name, times[name]) for name in times})  # type: ignore[misc]
    assert "".join(order) == "ababab"
    assert found["a"]["median"] == {"seconds": 2.0, "rung": "a"} and found["b"]["median"]["seconds"] == 4
    assert [row["seconds"] for row in found["a"]["rounds"]] == [1.0, 9.0, 2.0]


def test_absent_and_failing_programs_are_asked_once() -> None:
    asked: list[str] = []

    def absent(_: int) -> Figures:
        asked.append("absent")
        raise MissingPartError("other: not in that Python")

    def failing(number: int) -> Figures:
        asked.append("failing")
        if number:
            raise ExportError("out of memory")
        return {"seconds": 1.0}

    found = in_rounds(3, {"absent": absent, "failing": failing, "fine": lambda number: {"round": number}})
    assert found["absent"] == {"absent": "other: not in that Python"}
    assert found["failing"] == {"failed": "out of memory"}
    assert found["fine"]["median"] == {"round": 1}
    assert asked == ["absent", "failing", "failing"]
