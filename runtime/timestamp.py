"""When a record was made, as all records say it."""

from __future__ import annotations

import datetime


def utc_now() -> str:
    """The wall clock in UTC to the second, as ISO 8601 with its offset."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
