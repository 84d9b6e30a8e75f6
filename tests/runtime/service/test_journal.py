"""Log records reach the journal with their fields, or stderr as lines, and never carry a password."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import pytest

from edgetl.runtime.service.events import EventLog
from edgetl.runtime.service.journal import JournalHandler, datagram, fields_of, goes_to_journal
from edgetl.runtime.sources import Frame
from edgetl.runtime.verdict import Verdict, VerdictKind


def parsed(data: bytes) -> dict[str, str]:
    """A datagram as the journal reads it."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if is_plain:
            fields[name.decode()], data = value.decode(), rest
        else:
            length = int.from_bytes(rest[:8], "little")
            fields[name.decode()], data = rest[8 : 8 + length].decode(), rest[9 + length :]
    return fields


def test_values_with_newlines_and_odd_letters_survive() -> None:
    given = {"MESSAGE": "two\nlines=1", "EDGETL_PART": "Schweißnaht", "EMPTY": ""}
    assert parsed(datagram(given)) == given


@pytest.mark.fault("P5")
def test_record_arrives_with_its_fields_and_without_its_password(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        handler = JournalHandler(tmp_path / "socket")
        log = logging.Logger("edgetl.camera")
        log.addHandler(handler)
        log.warning(
            "%s: lost", "rtsp://anna:s3cret@cam/1", extra={"fields": {"source": "rtsp://a:s3cret@cam", "part": 7}}
        )
        fields = parsed(journal.recv(1 << 16))
        handler.close()
    assert fields["MESSAGE"] == "rtsp://…@cam/1: lost"
    assert (fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"]) == ("4", "edgetl")
    assert (fields["EDGETL_SOURCE"], fields["EDGETL_PART"]) == ("rtsp://…@cam", "7")


def test_journal_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    handler = JournalHandler(tmp_path / "nobody")
    log = logging.Logger("edgetl.camera")
    log.addHandler(handler)
    log.error("unheard")
    handler.close()


def test_only_the_pipe_that_systemd_named_goes_to_the_journal() -> None:
    read, write = os.pipe()
    status = os.fstat(write)
    assert goes_to_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, write)
    assert not goes_to_journal({"JOURNAL_STREAM": "1:1"}, write)
    assert not goes_to_journal({}, write)
    os.close(read)
    os.close(write)


def verdict(sequence: int, kind: VerdictKind, reason: str | None = None) -> Verdict:
    label = None if kind == "FAULT" else "good"
    return Verdict(
        sequence=sequence, verdict=kind, label=label, reason=reason, source="cam", frame=sequence, time_s=0, latency_ms=1
    )  # fmt: skip


def test_trouble_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    events, frame = EventLog(), Frame(0, "cam", None, 0.0, 0.0)
    with caplog.at_level(logging.INFO, "edgetl"):
        for sequence in range(1, 40):
            away = 10 <= sequence < 30
            reason = f"no frame for {sequence}.5 s" if away else None
            events.show(frame, verdict(sequence, "FAULT" if away else "UNKNOWN" if sequence == 5 else "OK", reason))
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "FAULT: no frame for 10.5 s"),
        ("INFO", "verdicts are back after 20 without"),
    ]
    assert fields_of(caplog.records[0])["EDGETL_SEQUENCE"] == "10"
