"""What the journal amounts to: a pure fold of its entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.layout import SLOTS, Slot
from edgetl.runtime.flashing.records import (
    Activating,
    AnyEntry,
    Begun,
    Committed,
    Filled,
    Filling,
    Halted,
    Installed,
    Refused,
    Rehearsed,
    Returning,
    Started,
    Stopped,
)


class SlotHistory(msgspec.Struct, frozen=True):
    """What may lie in a slot (two releases while one is being moved in), and why it must not run, if so."""

    releases: tuple[Installed, ...] = ()
    failed: str | None = None


class Trial(msgspec.Struct, frozen=True):
    """A release that runs but is not yet committed. `starts`: how often the service was started with it."""

    slot: Slot
    previous: Slot | None
    trial_s: float
    begun: Moment
    starts: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """How the last flash or return ended, for people; `code` of the error that refused it."""

    what: str
    reason: str
    at: Moment
    sha256: str | None = None
    code: str = ""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a device as its journal tells it.

    `returning`: the slot that `current` must point to, even if the power was cut before it did. `halted`: why the
    device is in safe mode. `running`: the last start, unless it was stopped on purpose. `crashes`: when the service
    started anew without having been stopped, since `current` was last swapped. `announced` is the release of the last
    admitted flash while it has not come to a slot; `rehearsed` whether it passed its rehearsal. `newest` is the release
    that was committed last, whatever runs now. `served`: whether the service was ever started here.
    """

    slots: Mapping[Slot, SlotHistory]
    trial: Trial | None = None
    returning: Slot | None = None
    halted: str | None = None
    running: Started | None = None
    crashes: tuple[Moment, ...] = ()
    last: Outcome | None = None
    announced: Installed | None = None
    rehearsed: bool = False
    newest: Installed | None = None
    served: bool = False


EMPTY = History(slots={slot: SlotHistory() for slot in SLOTS})
_MAX_CRASHES = 64  # more are never asked for


def fold(entries: Iterable[AnyEntry]) -> History:
    """The history that the entries tell, oldest first."""
    history = EMPTY
    for entry in entries:
        history = _after(history, entry)
    return history


def _after(history: History, entry: AnyEntry) -> History:
    change = msgspec.structs.replace
    match entry:
        case Begun(release=release):
            return change(history, announced=release, rehearsed=False)
        case Rehearsed(sha256=sha256):
            return change(history, rehearsed=history.announced is not None and history.announced.sha256 == sha256)
        case Filling(slot=slot, release=release):
            return _with_slot(history, slot, SlotHistory((*history.slots[slot].releases[-1:], release)))
        case Filled(slot=slot, release=release):
            return change(_with_slot(history, slot, SlotHistory((release,))), announced=None, rehearsed=False)
        case Activating(slot=slot, previous=previous):
            trial = Trial(slot, previous, entry.trial_s, entry.at)
            return change(history, trial=trial, returning=None, halted=None, crashes=())
        case Committed(slot=slot):
            last = _outcome(history, "committed", slot, entry.reason, entry.at)
            newest = history.slots[slot].releases[-1] if history.slots[slot].releases else history.newest
            return change(history, trial=None, last=last, newest=newest)
        case Returning(slot=slot, left=left):
            if entry.failed:
                history = _failed(history, left, entry.reason)
            last = _outcome(history, "returned", left, entry.reason, entry.at)
            return change(history, trial=None, returning=slot, halted=None, crashes=(), last=last)
        case Halted(left=left):
            if left is not None:
                history = _failed(history, left, entry.reason)
            last = Outcome("halted", entry.reason, entry.at)
            return change(history, trial=None, halted=entry.reason, last=last)
        case Refused():
            last = Outcome(f"refused ({entry.code})", entry.reason, entry.at, entry.sha256, entry.code)
            return change(history, last=last, announced=None, rehearsed=False)
        case Started():
            return _started(history, entry)
        case Stopped(pid=pid):
            return _stopped(history) if history.running is not None and history.running.pid == pid else history


def crashed_before(history: History, start: Started) -> bool:
    """Whether the service that starts now ended before without being stopped, and not with the whole machine."""
    before = history.running
    return before is not None and before.at.boot == start.at.boot and before.slot == start.slot


def _started(history: History, start: Started) -> History:
    crashes = history.crashes
    if start.slot is not None and crashed_before(history, start):
        crashes = (*crashes, start.at)[-_MAX_CRASHES:]
    trial = history.trial
    if trial is not None and trial.slot == start.slot:
        trial = msgspec.structs.replace(trial, starts=trial.starts + 1)
    return msgspec.structs.replace(history, running=start, crashes=crashes, trial=trial, served=True)


def _stopped(history: History) -> History:
    """A start that was ended on purpose does not count against a trial."""
    trial = history.trial
    if trial is not None and history.running is not None and history.running.slot == trial.slot:
        trial = msgspec.structs.replace(trial, starts=trial.starts - 1)
    return msgspec.structs.replace(history, running=None, trial=trial)


def _with_slot(history: History, slot: Slot, new: SlotHistory) -> History:
    return msgspec.structs.replace(history, slots={**history.slots, slot: new})


def _failed(history: History, slot: Slot, reason: str) -> History:
    return _with_slot(history, slot, msgspec.structs.replace(history.slots[slot], failed=reason))


def _outcome(history: History, what: str, slot: Slot, reason: str, at: Moment) -> Outcome:
    releases = history.slots[slot].releases
    return Outcome(what, reason, at, releases[-1].sha256 if releases else None)
