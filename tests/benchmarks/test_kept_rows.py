"""A benchmark that takes hours goes on where it was cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.errors import UsageError


class Row(msgspec.Struct, frozen=True):
    """A row of a measurement."""

    name: str
    value: float


def shown(rows: list[Row]) -> str:
    return ", ".join(row.name for row in rows)


def test_rows_are_there_again_with_the_time_that_they_took(tmp_path: Path) -> None:
    record = tmp_path / "new" / "rows.json"
    kept = KeptRows(record, Row, shown)
    assert not kept.rows and not record.exists()
    kept.told["imgsz"] = 96
    for name in "ab":
        with kept.timed() as rows:
            rows.append(Row(name, 1.5))
    again = KeptRows(record, Row, shown)
    assert again.rows == [Row("a", 1.5), Row("b", 1.5)] and again.told["imgsz"] == 96
    assert again.seconds == round(kept.seconds, 1)
    assert record.with_suffix(".md").read_text() == "a, b"
    assert json.loads(record.read_text()) == kept.account()


def test_what_was_cut_short_is_not_kept(tmp_path: Path) -> None:
    kept = KeptRows(tmp_path / "rows.json", Row)
    with kept.timed() as rows:
        rows.append(Row("a", 1.0))
    with pytest.raises(KeyboardInterrupt), kept.timed():
        raise KeyboardInterrupt
    assert KeptRows(kept.record, Row).rows == [Row("a", 1.0)]


def test_a_row_that_failed_is_measured_again(tmp_path: Path) -> None:
    record = tmp_path / "rows.json"
    done, failed = {"set": "screws", "n": 120}, {"set": "trashnet", "error": "no such file"}
    record.write_text(json.dumps({"rows": [done, failed], "seconds": 61.5}))
    kept = KeptRows(record, dict[str, Any])
    assert kept.rows == [done] and kept.seconds == 61.5


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"rows": 3}', '{"rows": [{"name": "a"}]}', '{"rows": [7]}'])
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    record = tmp_path / "rows.json"
    record.write_text(text)
    with pytest.raises(UsageError, match="no rows of this measurement"):
        KeptRows(record, Row)
    assert record.read_text() == text
