"""Answers survive what happens to a workstation."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.trainer.review.labels import NAME, Labels


def test_the_last_answer_counts_and_is_there_after_a_restart(tmp_path: Path) -> None:
    labels = Labels(tmp_path)
    labels.give("a.png", "good")
    labels.give("a.png", "scratch")
    labels.give("b.png", None, unusable=True)
    labels.give("c.png", "good")
    labels.give("c.png", None)
    again = Labels(tmp_path)
    answers = [again.of(name) for name in ("a.png", "b.png", "c.png", "d.png")]
    assert [None if a is None else (a.label, a.unusable) for a in answers] == [
        ("scratch", False),
        (None, True),
        None,
        None,
    ]


def test_a_half_written_line_costs_that_answer_only(tmp_path: Path) -> None:
    Labels(tmp_path).give("a.png", "good")
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"picture": "b.png", "la')
    labels = Labels(tmp_path)
    labels.give("c.png", "scratch")
    again = Labels(tmp_path)
    assert [a.label if (a := again.of(n)) else None for n in ("a.png", "b.png", "c.png")] == ["good", None, "scratch"]


@pytest.mark.parametrize("label", ["", "  ", "a/b", "../x", ".hidden", "a\0b"])
def test_a_label_that_cannot_be_a_folder_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(UsageError):
        Labels(tmp_path).give("a.png", label)
