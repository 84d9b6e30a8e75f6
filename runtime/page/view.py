"""What the page is told: one record a second, and the history of the shift less often."""

from __future__ import annotations

import msgspec

from edgetl.runtime.drift.report import DriftReport
from edgetl.runtime.page.health import Health
from edgetl.runtime.status import LineStatus, Minute
from edgetl.runtime.verdict import Verdict

_LAST = 8  # newest verdicts that the page lists
HISTORY_MINUTES = 8 * 60


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """The line at a glance; `rejects` are those whose pictures are kept, newest first."""

    status: LineStatus
    health: Health
    drift: DriftReport | None
    rejects: tuple[Verdict, ...]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes since the line's start with their counts of OK, NG, UNKNOWN and FAULT; `now` is the minute at hand."""

    now: int
    minutes: tuple[tuple[int, int, int, int, int], ...]


def page_view(status: LineStatus, health: Health, drift: DriftReport | None, rejects: tuple[Verdict, ...]) -> PageView:
    """The page's record of a line."""
    shown = msgspec.structs.replace(status, last=status.last[:_LAST])
    return PageView(status=shown, health=health, drift=drift, rejects=rejects)


def history(minutes: tuple[Minute, ...], uptime_s: float) -> History:
    """The shift's history: the last eight hours."""
    now = int(uptime_s // 60)
    rows = tuple(
        (m.minute, m.verdicts["OK"], m.verdicts["NG"], m.verdicts["UNKNOWN"], m.verdicts["FAULT"])
        for m in minutes
        if m.minute > now - HISTORY_MINUTES
    )
    return History(now=now, minutes=rows)
