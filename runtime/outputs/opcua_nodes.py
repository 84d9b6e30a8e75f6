"""The OPC UA nodes and their values. Pure; documented in docs/outputs.md."""

from __future__ import annotations

from typing import Any

from edgetl.runtime.outputs.bulletin import Notice
from edgetl.runtime.outputs.registers import BITS, alarms
from edgetl.runtime.status import LineStatus

# path below the station: (OPC UA type, first value). `Json` is the whole result and is written last.
NODES: dict[str, tuple[str, Any]] = {
    "State.State": ("String", "starting"),
    "State.Ready": ("Boolean", False),
    "State.Heartbeat": ("UInt32", 0),
    "State.Alarms": ("UInt32", 0),
    "State.Model": ("String", ""),
    "State.Drift": ("String", ""),
    "Counts.OK": ("UInt64", 0),
    "Counts.NG": ("UInt64", 0),
    "Counts.UNKNOWN": ("UInt64", 0),
    "Counts.FAULT": ("UInt64", 0),
    "Counts.Yield": ("Double", float("nan")),
    "Result.Verdict": ("String", ""),
    "Result.Pass": ("Boolean", False),
    "Result.Reject": ("Boolean", False),
    "Result.Doubt": ("Boolean", False),
    "Result.Toggle": ("Boolean", False),
    "Result.Label": ("String", ""),
    "Result.Score": ("Double", float("nan")),
    "Result.Reason": ("String", ""),
    "Result.Part": ("Int64", -1),
    "Result.Sequence": ("UInt64", 0),
    "Result.LatencyMs": ("Double", 0.0),
    "Result.Json": ("String", ""),
}


def values(notice: Notice, status: LineStatus, bits: tuple[bool, ...], heartbeat: int) -> dict[str, Any]:
    """The value of every node but `Json`, which belongs to one result."""
    flags = dict(zip(BITS, bits, strict=True))
    now: dict[str, Any] = {
        "State.State": status.state,
        "State.Ready": flags["ready"],
        "State.Heartbeat": heartbeat & 0xFFFFFFFF,
        "State.Alarms": alarms(status),
        "State.Model": status.model,
        "State.Drift": status.drift,
        **{f"Counts.{kind}": count for kind, count in status.verdicts.items()},
        "Counts.Yield": float("nan") if status.yield_share is None else status.yield_share,
        **{f"Result.{name.capitalize()}": flags[name] for name in ("pass", "reject", "doubt", "toggle")},
    }
    if notice.newest:
        newest = notice.newest[0]
        now |= {
            "Result.Verdict": newest.verdict,
            "Result.Label": newest.label or "",
            "Result.Score": float("nan") if newest.score is None else newest.score,
            "Result.Reason": newest.reason or "",
            "Result.Part": -1 if newest.part is None else newest.part,
            "Result.Sequence": newest.sequence,
            "Result.LatencyMs": newest.latency_ms,
        }
    return now
