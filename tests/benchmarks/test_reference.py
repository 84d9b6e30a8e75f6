"""A report beside the reference of its kind of machine: slower, as it was, or too good to be true."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgetl.benchmarks.judgement import Judgement
from edgetl.benchmarks.reference import check, keep_reference, read_reference
from edgetl.benchmarks.report import Report, keep, packed
from edgetl.errors import UsageError
from tests.benchmarks.reports import report
from tests.cli.calling import call, refused


def at(p50_ms: float, roofline: float = 0.4, **changes: object) -> Report:
    """A report whose one row took so long."""
    found = report(**changes)
    return msgspec.structs.replace(
        found, sweep=[msgspec.structs.replace(found.sweep[0], p50_ms=p50_ms, roofline=roofline)]
    )


@pytest.mark.parametrize(
    ("p50_ms", "roofline", "said", "passed"),
    [
        (10.5, 0.4, "as it was", True),
        (9.0, 0.4, "as it was", True),
        (11.5, 0.4, "slower", False),
        (7.0, 0.6, "too good", False),
        (10.0, 1.2, "faster than the roofline", False),
    ],
)
def test_what_is_said_of_a_figure(tmp_path: Path, p50_ms: float, roofline: float, said: str, passed: bool) -> None:
    keep_reference(at(10.0), tmp_path)
    now = at(p50_ms, roofline)
    found = check(now, read_reference(now, tmp_path))
    assert found.passed is passed and said in found.rows[0].said


def test_figures_of_other_graphs_stay_and_those_of_the_same_are_replaced(tmp_path: Path) -> None:
    keep_reference(at(10.0), tmp_path)
    other = at(20.0)
    other = msgspec.structs.replace(other, sweep=[msgspec.structs.replace(other.sweep[0], graph="feed")])
    keep_reference(other, tmp_path)
    path = keep_reference(at(11.0), tmp_path)
    assert path.name == "sample-processor-avx2-2-cores.json"
    assert {(row.graph, row.p50_ms) for row in read_reference(other, tmp_path).rows} == {("cafe", 11.0), ("feed", 20.0)}


def test_what_cannot_be_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no reference figures for this kind"):
        read_reference(report(), tmp_path)
    keep_reference(at(10.0), tmp_path)
    other = msgspec.structs.replace(report(), sweep=[msgspec.structs.replace(report().sweep[0], graph="feed")])
    with pytest.raises(UsageError, match="none of its graphs"):
        check(other, read_reference(other, tmp_path))
    with pytest.raises(UsageError, match="are no reference"):
        keep_reference(report(judgement=Judgement("INVALID", ("throttled",))), tmp_path)


def test_command_ends_with_one_where_a_figure_is_not_as_it_was(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.json" for name in ("then", "now")}
    keep(at(10.0), packed({}), files["then"])
    keep(at(12.0), packed({}), files["now"])
    options = ("--references", tmp_path / "kept")
    refused(call("bench", "check", files["now"], *options), 2, "E_USAGE", "--keep")
    assert call("bench", "check", files["then"], *options, "--keep").code == 0
    assert call("bench", "check", files["then"], *options).code == 0
    slower = call("bench", "check", files["now"], *options)
    assert slower.code == 1 and "regression" in slower.out
