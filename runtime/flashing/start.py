"""Which slot runs when the service starts: one pure decision from the journal and what lies in the slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.history import History
from edgetl.runtime.flashing.layout import Slot, other

TRIAL_STARTS = 1  # a release on trial is started once; a second start means that the first one ended unasked


class Limits(msgspec.Struct, frozen=True):
    """More than `max_crashes` unasked starts within `window_s` send the service back to the other slot."""

    max_crashes: int = 4
    window_s: float = 1800.0


class Start(msgspec.Struct, frozen=True):
    """What to do. `run`: the slot that `current` points to. `return`: swap to `slot` first, away from `left`.
    `safe mode`: run without a model. `failed`: `left` is not to run again."""

    step: Literal["run", "return", "safe mode"]
    slot: Slot | None
    left: Slot | None = None
    reason: str = ""
    failed: bool = False


def decide_start(
    history: History,
    pointed: Slot | None,
    broken: Callable[[Slot], str | None],
    now: Moment,
    limits: Limits,
) -> Start:
    """Which slot runs now.

    `broken` says why a slot cannot be opened, or None; it is asked only where the answer matters, since it reads the
    whole bundle. A slot that was left as failed is never returned to, so two steps at most end in safe mode.
    """
    if history.returning is not None and history.returning != pointed:
        return _into(history.returning, pointed, "finishing an interrupted return", history, broken, failed=False)
    if history.halted is not None:
        return Start("safe mode", None, None, history.halted)
    if pointed is None:
        return _without_pointer(history, broken)
    trouble = _trouble(history, pointed, now, limits) or broken(pointed)
    if trouble is None:
        return Start("run", pointed)
    return _into(other(pointed), pointed, trouble, history, broken, failed=True)


def decide_unnoted(start: Start, history: History, broken: Callable[[Slot], str | None]) -> Start:
    """What runs if that start cannot be noted, the disk being full or read-only.

    Anything but a release on trial: a trial that nobody can count would begin again after each crash.
    """
    trial = history.trial
    if start.slot is None or trial is None or trial.slot != start.slot or trial.previous is None:
        return start
    if history.slots[trial.previous].failed is not None or broken(trial.previous) is not None:
        return start
    return Start("run", trial.previous, None, f"slot {start.slot} is on trial, and its start cannot be noted")


def _trouble(history: History, slot: Slot, now: Moment, limits: Limits) -> str | None:
    """Why the slot must not run, as far as the journal knows."""
    failed = history.slots[slot].failed
    if failed is not None:
        return failed
    trial = history.trial
    if trial is not None and trial.slot == slot and trial.starts >= TRIAL_STARTS:
        same = history.running is not None and history.running.at.boot == now.boot
        return "it crashed during its trial" if same else "the device restarted during its trial"
    crashes = len(recent_crashes(history, slot, now, limits.window_s))
    if crashes > limits.max_crashes:
        return f"it crashed {crashes} times within {limits.window_s:g} s"
    return None


def recent_crashes(history: History, slot: Slot, now: Moment, window_s: float) -> tuple[Moment, ...]:
    """The slot's crashes in this boot within the window, the one that leads to this start included."""
    running = history.running
    crashes = history.crashes
    if running is not None and running.slot == slot and running.at.boot == now.boot:
        crashes = (*crashes, now)
    return tuple(c for c in crashes if c.boot == now.boot and now.boot_s - c.boot_s <= window_s)


def _without_pointer(history: History, broken: Callable[[Slot], str | None]) -> Start:
    """The link is gone. Only a slot that was committed once may run without anybody having asked for it."""
    trial = history.trial
    for slot in ("a", "b"):
        known = history.slots[slot]
        on_trial = trial is not None and trial.slot == slot
        if known.releases and known.failed is None and not on_trial and broken(slot) is None:
            return Start("return", slot, None, "the link to the current slot was lost", failed=False)
    return Start("safe mode", None, None, "no release has been flashed that could run")


def _into(
    slot: Slot, left: Slot | None, reason: str, history: History, broken: Callable[[Slot], str | None], *, failed: bool
) -> Start:
    obstacle = history.slots[slot].failed or broken(slot)
    if obstacle is None:
        return Start("return", slot, left, reason, failed)
    return Start("safe mode", None, left, f"slot {left}: {reason}; slot {slot}: {obstacle}")
