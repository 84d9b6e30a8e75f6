"""In which order a release comes to many devices, and when that stops. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

State = Literal["flashed", "unchanged", "failed", "not tried"]


class Plan(msgspec.Struct, frozen=True):
    """First `canary` devices, then waves of `wave_share` of all, until more than `max_failed_share` of all failed.

    Whatever the share, a canary that fails stops everything: it is there for that.
    """

    canary: Annotated[int, msgspec.Meta(ge=0)] = 1
    wave_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.25
    max_failed_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


class HostState(msgspec.Struct, frozen=True):
    """How it went with one device, and why."""

    host: str
    state: State
    reason: str = ""


def waves(hosts: Sequence[str], plan: Plan) -> list[tuple[str, ...]]:
    """The devices in the order of the inventory, cut into waves."""
    canary, rest = tuple(hosts[: plan.canary]), hosts[plan.canary :]
    size = max(1, math.ceil(len(hosts) * plan.wave_share))
    return [wave for wave in (canary, *(tuple(rest[i : i + size]) for i in range(0, len(rest), size))) if wave]


def stop_reason(results: Sequence[HostState], total: int, plan: Plan) -> str | None:
    """Why no further device may begin, or None. `results`: of those that ended, in the inventory's order."""
    failed = [result.host for result in results if result.state == "failed"]
    if any(result.state == "failed" for result in results[: plan.canary]):
        return f"the canary failed: {failed[0]}"
    if len(failed) > total * plan.max_failed_share:
        return f"{len(failed)} of {total} failed, {plan.max_failed_share:.0%} may"
    return None
