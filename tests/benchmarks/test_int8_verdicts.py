"""A benchmark that takes hours goes on where it was cut short."""

from __future__ import annotations

import json
from pathlib import Path

from edgetl.benchmarks.int8_verdicts import measured_before


def test_rows_that_came_to_an_end_are_not_measured_again(tmp_path: Path) -> None:
    record = tmp_path / "int8_verdicts.json"
    done, failed = {"set": "screws", "n": 120}, {"set": "trashnet", "error": "no such file"}
    assert measured_before(record) == ([], 0.0)
    record.write_text(json.dumps({"rows": [done, failed], "seconds": 61.5}))
    assert measured_before(record) == ([done], 61.5)
