"""A benchmark that takes hours goes on where it was cut short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    kept.told["pictures"] = 96
    for name in "ab":
        with kept.timed() as rows:
            rows.append(Row(name, 1.5))
    again = KeptRows(record, Row, shown)
    assert again.rows == [Row("a", 1.5), Row("b", 1.5)] and again.told["pictures"] == 96
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


def test_rows_of_another_plan_are_refused(tmp_path: Path) -> None:
    kept = KeptRows(tmp_path / "rows.json", Row, plan={"imgsz": 96})
    with kept.timed() as rows:
        rows.append(Row("a", 1.0))
    assert KeptRows(kept.record, Row, plan={"imgsz": 96}).rows == kept.rows
    for other in ({"imgsz": 224}, {"imgsz": 96, "steps": 2}):
        with pytest.raises(
            UsageError, match=r"holds rows of (imgsz 96, not 224|steps None, not 2); choose another OUT"
        ):
            KeptRows(kept.record, Row, plan=other)


def test_a_benchmark_ends_with_a_line_where_what_is_asked_for_cannot_be(tmp_path: Path) -> None:
    row = {
        "case": {"data": "screws", "model": "mobilenet_v2", "recipe": "probe", "seed": 0},
        "balanced_accuracy": 1,
        "seconds": 1,
        "taken": "probe",
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "recipes.json").write_text(json.dumps({"imgsz": 96, "rows": [row]}))
    command = [sys.executable, "-m", "edgetl.benchmarks.recipes", str(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "EDGETL_DATA": str(tmp_path)},
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("edgetl: E_USAGE: ") and done.stderr.endswith(
        "holds rows of imgsz 96, not 224; choose another OUT\n"
    )
    assert len(done.stderr.splitlines()) == 1
