"""A verdict is one line of JSON, and a fault never names a class."""

from __future__ import annotations

import json

import pytest

from edgetl.runtime.verdict import Verdict, to_json


def verdict(**changes: object) -> Verdict:
    fields = {"sequence": 1, "verdict": "OK", "source": "a.png", "frame": 0, "time_s": 0.0, "latency_ms": 1.0}
    return Verdict(**{**fields, **changes})  # type: ignore[arg-type]


def test_fault_with_a_label_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="never answered with a class"):
        verdict(verdict="FAULT", label="ok")


def test_line_holds_every_field_and_the_schema() -> None:
    made = verdict(verdict="NG", label="scratch", score=0.75, part=7, sequence=3)
    assert json.loads(to_json(made)) == {
        "schema": 1, "sequence": 3, "verdict": "NG", "label": "scratch", "score": 0.75, "reason": None,
        "source": "a.png", "frame": 0, "part": 7, "time_s": 0.0, "latency_ms": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["two\nlines", 'quote"s', "Ölfleck 部品", "\x00\x1b[31m"])
def test_any_text_stays_on_one_line_and_comes_back(text: str) -> None:
    line = to_json(verdict(verdict="FAULT", reason=text, source=text))
    assert "\n" not in line and "\x1b" not in line
    assert json.loads(line)["reason"] == json.loads(line)["source"] == text
