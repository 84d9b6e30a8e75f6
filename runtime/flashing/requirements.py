"""What a new release must show on the device: pure judgements of what was measured there."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.pulse import Pulse
from edgetl.runtime.flashing.settings import FlashSettings
from edgetl.runtime.golden import Replay
from edgetl.runtime.verification import golden_trouble


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What the child saw that loaded the new model first.

    `changed_inputs`: golden pictures that this device preprocesses differently. `latency_ms`: picture to decision,
    p50 and p90, with the interpreter and threads that the service will use. `camera`: what one frame showed, or why
    none came; None if nobody looked.
    """

    replays: tuple[Replay, ...]
    changed_inputs: tuple[str, ...]
    interpreter: str
    threads: int
    latency_ms: dict[str, float]
    camera: str | None = None
    camera_failed: bool = False


class Trial(msgspec.Struct, frozen=True):
    """How a trial stands."""

    state: Literal["waiting", "passed", "failed"]
    reason: str = ""


def rehearsal_trouble(rehearsal: Rehearsal, budget_ms: float | None) -> str | None:
    """Why a rehearsed release must not run here, or None."""
    trouble = golden_trouble(rehearsal.changed_inputs, rehearsal.replays)
    if trouble is not None:
        return trouble
    p90 = rehearsal.latency_ms["p90_ms"]
    if budget_ms is not None and p90 > budget_ms:
        return (
            f"too slow: {p90:.1f} ms at p90 (p50 {rehearsal.latency_ms['p50_ms']:.1f} ms) with {rehearsal.threads} threads "
            f"of {rehearsal.interpreter}, the budget is {budget_ms:g} ms"
        )
    return None


def judge_trial(
    sha256: str, before: Pulse | None, pulse: Pulse | None, swapped: Moment, now: Moment, trial_s: float,
    settings: FlashSettings, budget_ms: float | None,
) -> Trial:  # fmt: skip
    """How the trial of the release `sha256` stands, by what the service says of itself.

    `before` is its last beat under the previous release: what was already amiss then is not blamed on the new one.
    """
    passed_s = now.boot_s - swapped.boot_s
    if pulse is None or not pulse.alive(now, settings.stall_s):
        late = passed_s > settings.takeover_s
        return Trial("failed", f"the service has not answered for {settings.stall_s:g} s") if late else Trial("waiting")
    if pulse.sha256 != sha256:
        late = passed_s > settings.takeover_s
        return (
            Trial("failed", f"the service did not take it within {settings.takeover_s:g} s")
            if late
            else Trial("waiting")
        )
    trouble = _service_trouble(pulse, before, settings, budget_ms)
    if trouble is not None:
        return Trial("failed", trouble)
    if pulse.uptime_s < trial_s:
        return Trial("waiting")
    return Trial("passed", f"ran well for {trial_s:g} s ({pulse.judged} verdicts)")


def _service_trouble(
    pulse: Pulse, before: Pulse | None, settings: FlashSettings, budget_ms: float | None
) -> str | None:
    if pulse.error is not None:
        return f"the line failed: {pulse.error}"
    saw = before is not None and before.sees(settings.stall_s)
    if saw and pulse.uptime_s > settings.stall_s and not pulse.sees(settings.stall_s):
        return f"no frame for {settings.stall_s:g} s, and the camera gave some before"
    clean = before is None or before.faults == 0
    if clean and pulse.judged >= 20 and pulse.faults * 2 > pulse.judged:
        return f"{pulse.faults} of {pulse.judged} verdicts are FAULT"
    was_slow = before is not None and before.latency_ms is not None and budget_ms and before.latency_ms > budget_ms
    if budget_ms is not None and not was_slow and pulse.judged >= 20 and (pulse.latency_ms or 0.0) > budget_ms:
        return f"too slow on the line: {pulse.latency_ms:.1f} ms at p90, the budget is {budget_ms:g} ms"
    return None
