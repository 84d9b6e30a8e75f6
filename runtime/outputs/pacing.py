"""When to try again: what failed, how often in a row, and a draw from 0 to 1 give a pause."""

from __future__ import annotations

import logging

from edgetl.errors import AccessError, EdgetlError, OutputError

_log = logging.getLogger("edgetl.outputs")

FIRST_S = 0.5
LONGEST_S = 60.0
ACCESS_S = 60.0  # a wrong password does not get right by itself, and brokers lock out those who insist


def pause_s(error: OutputError, failures: int, draw: float) -> float:
    """Seconds until the next try after the n-th failure in a row.

    Doubling from half a second to a minute; half of it is drawn, so that a hundred devices do not come back to a
    broker in the same second. Where access was refused, one to two minutes.
    """
    if isinstance(error, AccessError):
        return ACCESS_S * (1.0 + draw)
    longest = min(FIRST_S * 2.0 ** min(failures - 1, 16), LONGEST_S)
    return longest * (0.5 + 0.5 * draw)


def as_output_error(error: Exception) -> OutputError:
    """What an output's thread met, as an error to report and to wait after: no fault of a library may end the thread."""
    if isinstance(error, OutputError):
        return error
    if isinstance(error, EdgetlError):
        return OutputError(str(error))
    if not isinstance(error, OSError):
        _log.error("unexpected: %r", error, exc_info=error)
    return OutputError(getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")
