"""`/healthz`: is the line inspecting? For monitors and load balancers, with the reason in words."""

from __future__ import annotations

import msgspec

from edgetl.runtime.status import LineStatus


class Health(msgspec.Struct, frozen=True):
    """`ok` when parts get verdicts now. `reasons` say what is wrong; `degraded` what is wrong beside that: an output
    that is away, drift, throttling. A line that is degraded still inspects, so it is ok."""

    ok: bool
    reasons: tuple[str, ...]
    degraded: tuple[str, ...]


def health_of(status: LineStatus, stale_s: float) -> Health:
    """The health of a line; a newest frame older than `stale_s` is none."""
    reasons = []
    if status.state == "stuck":
        reasons.append(f"the line is stuck: no frame has gone through it for {status.last_progress_age_s or 0.0:.0f} s")
    elif status.state != "running":
        reasons.append(f"the line is {status.state}" + (f": {status.error}" if status.error else ""))
    if status.source is not None and not status.source.ok:
        reasons.append(f"source {status.source.name}: {status.source.detail or 'no frames'}")
    age = status.uptime_s if status.last_frame_age_s is None else status.last_frame_age_s
    if status.state == "running" and age > stale_s:
        reasons.append(f"no frame for {age:.0f} s")
    if not reasons and not status.ready:
        reasons.append("the newest frame could not be trusted" if status.frames else "no frame has come yet")
    degraded = [f"output {s.name}: {s.detail or 'not ok'}" for s in status.sinks if not s.ok]
    degraded += [f"{what}: {said}" for what, said in (("drift", status.drift), ("throttled", status.throttled)) if said]
    return Health(not reasons, tuple(reasons), tuple(degraded))
