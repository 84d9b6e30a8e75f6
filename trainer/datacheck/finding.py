"""One thing worth knowing about a data set."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is stable, for machines; `message` says what was found, `advice` what to do; `pictures` are the paths to
    look at, in order of weight, and `groups` sets of paths that belong together (copies of one picture)."""

    kind: str
    severity: Severity
    message: str
    advice: str
    pictures: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
