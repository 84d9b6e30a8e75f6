"""CSV files for people and spreadsheets: numbered, of bounded size and number, whole after a power cut."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgetl.errors import storage
from edgetl.runtime.files import sync
from edgetl.runtime.outputs.config import Csv
from edgetl.runtime.outputs.delivery import Delivered
from edgetl.runtime.spool.rows import Row

COLUMNS = ("device", "sequence", "time", "synced", "verdict", "label", "score", "reason", "part", "source", "latency_ms",
           "regions", "gap", "first", "last", "lost")  # fmt: skip
_TAIL = 256 * 1024  # bytes at the end of a file in which the last rows are looked for; a batch is far smaller
_NAME = re.compile(r"results-(\d{6,})\.csv")
# A spreadsheet runs a cell that begins so as a formula; labels and reasons may come from file names.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cells(payload: bytes) -> list[str]:
    """One line of the file, for a result or a gap."""
    record = msgspec.json.decode(payload)
    return [_cell(record.get(column)) for column in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict | bool) else str(value)


class CsvDelivery:
    """Appends rows; a row counts as delivered when it is on the disk."""

    batch = 200

    def __init__(self, config: Csv) -> None:
        self._config = config
        self._folder = Path(config.folder)
        self._number = 1
        self._known: set[int] = set()  # sequence numbers at the end of what is written, so that none comes twice

    def open(self) -> None:
        """Goes on after the last whole line; what a power cut left of another one is cut off."""
        with storage(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._number = max(self._numbers(), default=1)
            path = self._path(self._number)
            self._known = _mended(path) if path.exists() else set()

    def _numbers(self) -> list[int]:
        return [int(match[1]) for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name))]

    def _path(self, number: int) -> Path:
        return self._folder / f"results-{number:06d}.csv"

    def deliver(self, rows: Sequence[Row]) -> Delivered:
        """Appends what is not there yet and waits for the disk."""
        new = [row for row in rows if row.sequence not in self._known]
        if new:
            with storage(self._folder):
                self._append(new)
            self._known = {row.sequence for row in rows} | (
                self._known if len(self._known) < 10 * self.batch else set()
            )
        return Delivered(len(rows))

    def _append(self, rows: Sequence[Row]) -> None:
        path = self._path(self._number)
        fresh = not path.exists() or path.stat().st_size == 0
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerows(cells(row.payload) for row in rows)
        with path.open("ab") as file:
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if fresh:
            sync(self._folder)
        if size >= self._config.max_bytes:
            self._rotate()

    def _rotate(self) -> None:
        self._number += 1
        for number in sorted(self._numbers())[: -self._config.keep + 1]:
            self._path(number).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is held open."""

    leave = close


def _mended(path: Path) -> set[int]:
    """Cuts off a line that has no end; gives the sequence numbers of the last whole lines."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL)
        file.seek(start)
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            file.truncate(start + whole)
            os.fsync(file.fileno())
    lines = csv.reader(io.StringIO(tail[:whole].decode(errors="replace")))
    return {int(cells[1]) for cells in lines if len(cells) == len(COLUMNS) and cells[1].isdigit()}
