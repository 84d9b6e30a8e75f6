"""Writes docs/faults.md from the tests that ran: `pytest --fault-table docs/faults.md`.

A test says which row it realises with `@pytest.mark.fault("S2")`; the rows are those of faults.csv beside this file.
A row passes only if every test marked with it ran and passed. A table from a part of the tests would call rows
untested that are tested elsewhere, so run all of them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pytest

ROWS_FILE = Path(__file__).with_name("faults.csv")
GROUPS = {
    "F": "Update of a device",
    "S": "Bundle, signature, archive",
    "M": "Model files and export",
    "I": "Pictures",
    "C": "Camera",
    "D": "Disk and database",
    "N": "Network and spool",
    "W": "Process and resources",
    "T": "Time, heat, load",
    "P": "Command line and packaging",
}
PASS, FAIL, NOT_RUN, NOT_YET = "pass", "fail", "not run here", "not yet"


def read_rows() -> dict[str, tuple[str, str]]:
    """The fault and what must happen, by id, in the order of the file."""
    with ROWS_FILE.open(encoding="utf-8", newline="") as file:
        return {row["id"]: (row["fault"], row["expected"]) for row in csv.DictReader(file)}


class FaultTable:
    """Remembers which tests are marked with which row, and how each of them ended."""

    def __init__(self) -> None:
        self.rows = read_rows()
        self._tests: dict[str, list[str]] = {fault: [] for fault in self.rows}
        self._outcomes: dict[str, str] = {}

    # First, so that a test that another plugin deselects still counts as one that did not run.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        unknown = [f"{item.nodeid}: {fault!r}" for item in items for fault in _marked(item) if fault not in self.rows]
        if unknown:
            raise pytest.UsageError(f"no such row in {ROWS_FILE.name}: {'; '.join(unknown)}")
        for item in items:
            for fault in _marked(item):
                self._tests[fault].append(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self._outcomes.get(report.nodeid)
        if report.failed or hasattr(report, "wasxfail"):
            self._outcomes[report.nodeid] = FAIL
        elif report.skipped:
            self._outcomes[report.nodeid] = before or NOT_RUN
        elif report.when == "call":
            self._outcomes[report.nodeid] = before or PASS

    def outcome(self, fault: str) -> str:
        """How a row stands after the run."""
        found = {self._outcomes.get(test, NOT_RUN) for test in self._tests[fault]}
        if not found:
            return NOT_YET
        return next(outcome for outcome in (FAIL, NOT_RUN, PASS) if outcome in found)

    def text(self) -> str:
        """The table as Markdown."""
        outcomes = {fault: self.outcome(fault) for fault in self.rows}
        counts = {name: list(outcomes.values()).count(name) for name in (PASS, FAIL, NOT_RUN, NOT_YET)}
        lines = [
            "# Faults and bad input",
            "",
            "Written by `make faults` from the tests that ran; do not edit. `pass`: every test of the row ran and passed.",
            f"`{NOT_RUN}`: at least one was skipped on that machine. `{NOT_YET}`: no test shows the row as a whole.",
            "",
            f"{len(self.rows)} rows: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count) + ".",
        ]
        for letter, title in GROUPS.items():
            lines += [
                "",
                f"## {title}",
                "",
                "| id | fault | must happen | outcome | shown by |",
                "|---|---|---|---|---|",
            ]
            for fault, texts in self.rows.items():
                if fault.startswith(letter):
                    cells = [fault, *texts, outcomes[fault], _shown_by(self._tests[fault])]
                    lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        return "\n".join(lines) + "\n"


def _marked(item: pytest.Item) -> Iterable[str]:
    for marker in item.iter_markers("fault"):
        yield from marker.args or ("",)


def _shown_by(tests: list[str]) -> str:
    """Test names without their parameters, each with the number of its cases."""
    cases: dict[str, int] = {}
    for test in tests:
        name = test.partition("[")[0]
        cases[name] = cases.get(name, 0) + 1
    return "<br>".join(
        f"`{name}`" + (f" ({count} cases)" if count > 1 else "") for name, count in sorted(cases.items())
    )


class _Writer:
    """Writes the table when the run is over, unless it was broken off."""

    def __init__(self, table: FaultTable, path: Path) -> None:
        self._table = table
        self._path = path

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            from edgetl.runtime.files import write_file

            write_file(self._path, self._table.text())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", type=Path, metavar="FILE", help="write the table of faults there after the run")


def pytest_configure(config: pytest.Config) -> None:
    table = FaultTable()
    config.pluginmanager.register(table)
    path: Path | None = config.getoption("--fault-table")
    if path is not None:
        config.pluginmanager.register(_Writer(table, path))
