"""Log records as systemd's journal takes them, with fields to search by; as plain lines where stderr goes elsewhere.

The journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) is a datagram of fields; nothing has to be installed for it.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from edgetl.runtime.sources.base import redacted

JOURNAL = Path("/run/systemd/journal/socket")
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
_MAX_BYTES = 100_000  # well below what a datagram holds; longer texts are cut


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """The fields of a record: what `extra={"fields": {...}}` gave it as EDGETL_…, and the usual ones."""
    own: Mapping[str, object] = getattr(record, "fields", {})
    return {
        "MESSAGE": redacted(record.getMessage()),
        "PRIORITY": str(next((p for level, p in _PRIORITIES if record.levelno >= level), 7)),
        "SYSLOG_IDENTIFIER": "edgetl",
        "LOGGER": record.name,
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        **{f"EDGETL_{name.upper()}": redacted(str(value)) for name, value in own.items() if value is not None},
    }


def datagram(fields: Mapping[str, str]) -> bytes:
    """The fields in the journal's protocol. A value with a newline is given by its length."""
    out = bytearray()
    for name, value in fields.items():
        data = value.encode("utf-8", "backslashreplace")[:_MAX_BYTES]
        if b"\n" in data:
            out += name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
        else:
            out += name.encode() + b"=" + data + b"\n"
    return bytes(out)


class JournalHandler(logging.Handler):
    """Sends each record to the journal. A journal that does not take it must not stop the line."""

    def __init__(self, path: Path = JOURNAL) -> None:
        super().__init__()
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Sends it, or drops it."""
        try:
            self._socket.sendto(datagram(fields_of(record)), self._path)
        except OSError:
            return

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
        super().close()


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"edgetl: {redacted(record.getMessage())}"


def goes_to_journal(environment: Mapping[str, str] = os.environ, descriptor: int = 2) -> bool:
    """Whether this descriptor is the pipe that systemd reads into its journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"


def start_logging(level: str) -> None:
    """Sends edgetl's messages to the journal if a service manager listens there, and else as lines to stderr."""
    log = logging.getLogger("edgetl")
    log.handlers.clear()
    handler: logging.Handler
    if goes_to_journal() and JOURNAL.exists():
        handler = JournalHandler()
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Lines())
    log.addHandler(handler)
    log.setLevel(level.upper())
    log.propagate = False
