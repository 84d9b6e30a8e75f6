"""The Modbus map: what the line is like now, as bits and 16-bit registers. Pure; documented in docs/outputs.md."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.runtime.outputs.config import SafeState
from edgetl.runtime.status import LineStatus
from edgetl.runtime.verdict import Verdict

MAP_VERSION = 1
BITS = ("ready", "pass", "reject", "doubt", "toggle")
HISTORY = 16  # newest verdicts in the map, so that a controller that reads every second misses none at 900 a minute
REGISTERS = 32 + 4 * HISTORY
HEAD = 12  # registers that a client writes into a controller: those about the newest verdict
NONE_16, NONE_32 = 0xFFFF, 0xFFFFFFFF
_VERDICTS = {"OK": 1, "NG": 2, "UNKNOWN": 3, "FAULT": 4}
_STATES = {"starting": 0, "running": 1, "stopped": 2, "failed": 3, "stuck": 4}


def bits(newest: Verdict | None, ready: bool, toggle: bool, safe_state: SafeState) -> tuple[bool, ...]:
    """`ready`, `pass`, `reject`, `doubt` and `toggle`.

    A part that nobody can vouch for (UNKNOWN, FAULT), and a line that does not inspect, give the safe state: never a
    pass, and a reject where the site wants doubtful parts out. `ready` does not wait for a verdict: a controller that
    feeds parts only to a line that is ready would wait for ever.
    """
    safe = safe_state == "reject"
    if not ready or newest is None:
        return (ready, False, safe, newest is not None, toggle)
    doubt = newest.verdict in ("UNKNOWN", "FAULT")
    return (True, newest.verdict == "OK", newest.verdict == "NG" or (doubt and safe), doubt, toggle)


def registers(newest: Sequence[Verdict], status: LineStatus, heartbeat: int) -> list[int]:
    """All registers; `newest` holds the newest verdict first. 32-bit values take two, the high word first."""
    values = head(newest[0] if newest else None, status.state, heartbeat)
    for kind in ("OK", "NG", "UNKNOWN", "FAULT"):
        values += _pair(status.verdicts.get(kind, 0))
    values += [
        NONE_16 if status.yield_share is None else round(10_000 * status.yield_share),
        0x8000 if status.temperature_c is None else round(10 * status.temperature_c) & 0xFFFF,
        alarms(status),
        0,
    ]
    values += _text(newest[0].label if newest else None, 8)
    for verdict in newest[:HISTORY]:
        values += [*_pair(verdict.sequence), _VERDICTS[verdict.verdict], _score(verdict)]
    return values + [0] * (REGISTERS - len(values))


def head(newest: Verdict | None, state: str, heartbeat: int) -> list[int]:
    """The first registers: those about the newest verdict."""
    values = [MAP_VERSION, heartbeat & 0xFFFF, _STATES.get(state, NONE_16)]
    if newest is None:
        return [*values, 0, 0, 0, *_pair(0), *_pair(NONE_32), 0, 0]
    part = NONE_32 if newest.part is None else newest.part
    latency = min(round(newest.latency_ms), NONE_16)
    return [*values, _VERDICTS[newest.verdict], 0, _score(newest), *_pair(newest.sequence), *_pair(part), latency, 0]


def alarms(status: LineStatus) -> int:
    """Bit 0: no frames; 1: an output does not deliver; 2: drift; 3: processor throttled; 4: the line has failed."""
    raised = (
        status.source is not None and not status.source.ok,
        any(not sink.ok for sink in status.sinks),
        bool(status.drift),
        bool(status.throttled),
        status.state == "failed",
    )
    return sum(1 << bit for bit, is_raised in enumerate(raised) if is_raised)


def _pair(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def _score(verdict: Verdict) -> int:
    return NONE_16 if verdict.score is None else round(10_000 * verdict.score)


def _text(text: str | None, length: int) -> list[int]:
    data = (text or "").encode("ascii", "replace")[: 2 * length].ljust(2 * length, b"\0")
    return [data[at] << 8 | data[at + 1] for at in range(0, 2 * length, 2)]
