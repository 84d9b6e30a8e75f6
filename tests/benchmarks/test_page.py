"""The page of all reports shows each of them, and nothing that a name could smuggle in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgetl.benchmarks.report import keep, packed
from edgetl.benchmarks.sustained import Minute
from tests.benchmarks.reports import report
from tests.cli.calling import call, refused

pytest.importorskip("matplotlib", reason="the page's plots need it")


def test_every_report_of_the_folder_is_on_the_page(tmp_path: Path) -> None:
    times = packed({"end_to_end": np.linspace(11, 14, 100).tolist()})
    keep(report(), times, tmp_path / "first.json")
    warm = [Minute(12.0, 5000, None, None, ""), Minute(12.5, 4800, None, 71.0, "")]
    keep(report(bundle="<script>alert(1)</script>", sustained=warm), times, tmp_path / "second.json")
    (tmp_path / "other.json").write_text('{"not": "a report"}')
    out = tmp_path / "page.html"
    done = call("bench", "page", tmp_path, "--out", out, "--json")
    assert json.loads(done.out) == {"out": str(out), "reports": ["first", "second"]}
    page = out.read_text()
    assert "first" in page and "second" in page and "Sample Processor" in page
    assert page.count("<svg") == 4  # ranges, shares, distributions, minutes
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_reports_without_timings_lack_that_plot_alone(tmp_path: Path) -> None:
    keep(report(), packed({}), tmp_path / "one.json")
    (tmp_path / "one.npz").unlink()
    call("bench", "page", tmp_path, "--out", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count("<svg") == 2


def test_folder_without_reports_is_refused(tmp_path: Path) -> None:
    refused(call("bench", "page", tmp_path, "--out", tmp_path / "p.html"), 2, "E_USAGE", "no reports there")
