"""What a line has counted goes on when the program is started anew in its own place, to take its settings over.

Somebody who moves a region on the page changes no part that was counted before. A start from nothing, and one with another model,
count from nothing: `carry` is called before the former kind of start only. Times are of the monotonic clock, which
runs through.
"""

from __future__ import annotations

import logging
import os
import tempfile

import msgspec

from edgetl.runtime.status import Counts

_VARIABLE = "EDGETL_COUNTS_FD"
_log = logging.getLogger("edgetl.service")


def carry(counts: Counts) -> None:
    """Lays the counts into a file without a name, which the program that replaces this one inherits."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(msgspec.json.encode(counts))
            file.seek(0)
            held = os.dup(file.fileno())
    except OSError as error:
        _log.warning("counting begins anew: %s", error)
        return
    os.set_inheritable(held, True)
    os.environ[_VARIABLE] = str(held)


def carried() -> Counts | None:
    """The counts that were laid down for this start, once; None where there are none."""
    held = os.environ.pop(_VARIABLE, "")
    try:
        with open(int(held), "rb") as file:  # noqa: PTH123 - a descriptor has no path
            return msgspec.json.decode(file.read(), type=Counts)
    except (ValueError, OSError, msgspec.MsgspecError):
        return None
