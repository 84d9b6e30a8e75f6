"""CSV and SQLite files: every result once, whole lines only, bounded."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
from pathlib import Path

import pytest

from edgetl.runtime.outputs.config import Csv, Sqlite
from edgetl.runtime.outputs.csv_files import CsvDelivery, cells
from edgetl.runtime.outputs.sqlite_file import SqliteDelivery
from edgetl.runtime.spool.rows import Gap, Row, gap_row
from tests.runtime.outputs.brokers import eventually
from tests.runtime.outputs.conftest import Open


def row(number: int, **more: object) -> Row:
    record = {"device": "press-3", "sequence": number, "verdict": "OK", "label": "good", "score": 0.5, **more}
    return Row(number, number, "OK", json.dumps(record).encode())


def lines_of(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in sorted(folder.glob("results-*.csv")):
        with path.open(newline="") as file:
            found += csv.DictReader(file)
    return found


def test_a_line_in_csv_a_row_in_sqlite_for_each_result(station: Open, tmp_path: Path) -> None:
    line = station(Csv(folder=str(tmp_path / "csv")), Sqlite(file=str(tmp_path / "results.db")))
    given = line.say(20) + line.say(1, "FAULT", reason="camera away")
    eventually(lambda: line.health("csv").delivered == line.health("sqlite").delivered == 21)
    written = lines_of(tmp_path / "csv")
    assert [int(w["sequence"]) for w in written] == given
    assert (written[0]["label"], written[0]["score"], written[0]["time"]) == (
        "good",
        "0.97",
        "2026-01-02T03:04:05.678Z",
    )
    assert (written[-1]["verdict"], written[-1]["label"], written[-1]["reason"]) == ("FAULT", "", "camera away")
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        rows = connection.execute(
            "SELECT sequence, verdict, json ->> 'device' FROM result ORDER BY sequence"
        ).fetchall()
    assert rows == [(n, "OK", "press-3") for n in given[:-1]] + [(given[-1], "FAULT", "press-3")]


def test_what_comes_again_after_a_crash_is_written_once(tmp_path: Path) -> None:
    config, database = Csv(folder=str(tmp_path)), Sqlite(file=str(tmp_path / "results.db"))
    for rows in ([row(1), row(2), row(3)], [row(2), row(3), row(4)]):
        for delivery in (CsvDelivery(config), SqliteDelivery(database)):
            delivery.open()
            assert delivery.deliver(rows).count == 3
            delivery.close()
    assert [w["sequence"] for w in lines_of(tmp_path)] == ["1", "2", "3", "4"]
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM result").fetchone() == (4,)


def test_a_line_that_a_power_cut_tore_is_cut_off_and_written_anew(tmp_path: Path) -> None:
    delivery = CsvDelivery(Csv(folder=str(tmp_path)))
    delivery.open()
    delivery.deliver([row(1), row(2)])
    path = tmp_path / "results-000001.csv"
    path.write_bytes(path.read_bytes()[:-9])
    again = CsvDelivery(Csv(folder=str(tmp_path)))
    again.open()
    again.deliver([row(2), row(3)])
    assert [w["sequence"] for w in lines_of(tmp_path)] == ["1", "2", "3"]


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    delivery = CsvDelivery(Csv(folder=str(tmp_path), max_bytes=4096, keep=3))
    delivery.open()
    for start in range(0, 1000, 20):
        delivery.deliver([row(n) for n in range(start, start + 20)])
    numbers = [int(w["sequence"]) for w in lines_of(tmp_path)]
    assert numbers == list(range(numbers[0], 1000)) and numbers[0] > 0
    assert len(list(tmp_path.iterdir())) <= 3
    assert all(path.stat().st_size < 2 * 4096 for path in tmp_path.iterdir())


def test_a_gap_has_its_line_and_a_spreadsheet_runs_no_formula(tmp_path: Path) -> None:
    gap = gap_row(3, Gap(device="press-3", sequence=9, gap="the disk is full", first=4, last=8, lost=5))
    assert cells(gap.payload)[-4:] == ["the disk is full", "4", "8", "5"]
    assert cells(row(1, label="=HYPERLINK(1)", reason="-x").payload)[5:8] == ["'=HYPERLINK(1)", "0.5", "'-x"]
    delivery = SqliteDelivery(Sqlite(file=str(tmp_path / "results.db")))
    delivery.open()
    delivery.deliver([row(1), gap])
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        assert connection.execute("SELECT * FROM gap").fetchall() == [("press-3", 9, "the disk is full", 4, 8, 5)]


def test_sqlite_keeps_the_newest_rows_and_tells_of_numbers_used_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    delivery = SqliteDelivery(Sqlite(file=str(tmp_path / "results.db"), max_rows=10))
    delivery.open()
    for n in range(50):
        delivery.deliver([row(n)])
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        assert [n for (n,) in connection.execute("SELECT sequence FROM result ORDER BY 1")] == list(range(40, 50))
    assert not caplog.records
    delivery.deliver([row(49, label="another")])
    assert "set up anew" in caplog.text


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_lost(station: Open, full_disk: Path) -> None:
    (full_disk / "csv").mkdir()
    ballast = full_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    line = station(Csv(folder=str(full_disk / "csv")))
    given = line.say(200)
    eventually(lambda: "disk is full" in line.health("csv").detail)
    ballast.unlink()
    eventually(lambda: line.health("csv").delivered == 200)
    assert [int(w["sequence"]) for w in lines_of(full_disk / "csv")] == given
