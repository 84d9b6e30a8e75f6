"""What is sent: one JSON object a result or gap, and the smaller ones about the line. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from edgetl.runtime.spool.rows import GAP, Row
from edgetl.runtime.status import LineStatus

# What a receiver needs to know of a part; the rest may be large and goes when a message is above a receiver's limit.
_CORE = ("schema", "device", "sequence", "verdict", "label", "score", "reason", "part", "time", "synced", "source",
         "frame", "time_s", "latency_ms")  # fmt: skip
_LONGEST = 200  # characters of a text in a reduced message


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How the line is doing, sent at intervals and kept by the broker."""

    schema: int = 1
    device: str
    state: str
    ready: bool
    verdicts: dict[str, int]
    yield_share: float | None
    verdicts_per_second: float
    latency_p90_ms: float | None
    temperature_c: float | None
    throttled: str
    drift: str
    source_ok: bool | None
    waiting: int


def counts_of(status: LineStatus, device: str) -> Counts:
    """The figures of a status that a dashboard shows."""
    return Counts(
        device=device,
        state=status.state,
        ready=status.ready,
        verdicts=status.verdicts,
        yield_share=status.yield_share,
        verdicts_per_second=status.verdicts_per_second,
        latency_p90_ms=status.latency_ms.get("p90_ms"),
        temperature_c=status.temperature_c,
        throttled=status.throttled,
        drift=status.drift,
        source_ok=None if status.source is None else status.source.ok,
        waiting=max((sink.waiting for sink in status.sinks), default=0),
    )


def kind_of(row: Row) -> str:
    """`gap` or `result`."""
    return "gap" if row.kind == GAP else "result"


def reduced(payload: bytes) -> bytes:
    """A result without what is not essential, marked as such."""
    full: dict[str, Any] = msgspec.json.decode(payload)
    core = {key: _cut(full[key]) for key in _CORE if key in full}
    return msgspec.json.encode({**core, "reduced": True})


def _cut(value: object) -> object:
    return value[:_LONGEST] if isinstance(value, str) else value
