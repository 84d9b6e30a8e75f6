"""The fault table says only what the tests of that run showed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault_table import ROWS_FILE, read_rows

TESTS = """
import pytest

@pytest.mark.fault("S2")
def test_short(): pass

@pytest.mark.fault("S2")
@pytest.mark.parametrize("n", [1, 2])
def test_padded(n): pass

@pytest.mark.fault("S7")
def test_bomb(): assert False

@pytest.mark.fault("S7")
def test_bomb_that_works(): pass

@pytest.mark.fault("P3", "P4")
def test_not_here(): pytest.skip("no such machine")

@pytest.mark.fault("P3")
def test_here(): pass

@pytest.mark.fault("C1")
def test_deselected(): pass

@pytest.fixture
def broken():
    yield
    raise OSError

@pytest.mark.fault("I3")
def test_breaks_afterwards(broken): pass

@pytest.mark.fault("I2")
@pytest.mark.xfail
def test_known_to_fail(): assert False
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with the plugin and TESTS."""
    tests = tmp_path / "tests"
    tests.mkdir()
    for name in ("fault_table.py", "faults.csv"):
        shutil.copy(ROWS_FILE.with_name(name), tests / name)
    (tests / "conftest.py").write_text('pytest_plugins = ["tests.fault_table"]\n')
    (tests / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib --strict-markers\nmarkers = fault(id): a row\n"
    )
    return tmp_path


def pytest_in(project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    env = {**os.environ, "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=env, timeout=120)


def rows_of(table: Path) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in table.read_text().splitlines() if line.startswith("| ")]
    return {row[0]: [cell.strip() for cell in row[1:]] for row in rows if row[0] != "id"}


def test_each_outcome_is_told_apart(project: Path) -> None:
    done = pytest_in(project, "--fault-table", "docs/faults.md", "--deselect", "tests/test_some.py::test_deselected")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    rows = rows_of(project / "docs/faults.md")
    outcomes = {fault: row[2] for fault, row in rows.items()}
    assert outcomes.pop("S2") == "pass"
    assert {outcomes.pop(fault) for fault in ("S7", "I3", "I2")} == {"fail"}
    assert {outcomes.pop(fault) for fault in ("P3", "P4", "C1")} == {"not run here"}
    assert set(outcomes.values()) == {"not yet"}
    assert set(rows) == set(read_rows())
    assert rows["S2"][3] == "`tests/test_some.py::test_padded` (2 cases)<br>`tests/test_some.py::test_short`"


def test_unknown_row_is_an_error_before_any_test_runs(project: Path) -> None:
    (project / "tests/test_other.py").write_text(
        'import pytest\n\n@pytest.mark.fault("Z9")\ndef test_it(): open("ran", "w")\n'
    )
    done = pytest_in(project, "--fault-table", "faults.md", "tests/test_other.py")
    assert done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert "test_other.py::test_it: 'Z9'" in done.stdout + done.stderr
    assert not (project / "ran").exists()
    assert not (project / "faults.md").exists()


def test_mark_without_a_row_is_an_error(project: Path) -> None:
    (project / "tests/test_other.py").write_text("import pytest\n\n@pytest.mark.fault\ndef test_it(): pass\n")
    assert pytest_in(project, "tests/test_other.py").returncode == pytest.ExitCode.USAGE_ERROR


def test_run_that_breaks_off_leaves_the_old_table(project: Path) -> None:
    table = project / "faults.md"
    table.write_text("old")
    (project / "tests/test_other.py").write_text("def test_it(): raise KeyboardInterrupt\n")
    pytest_in(project, "--fault-table", str(table))
    assert table.read_text() == "old"


def test_every_row_is_there_once_and_has_texts() -> None:
    lines = ROWS_FILE.read_text().splitlines()
    rows = read_rows()
    assert len(rows) == len(lines) - 1
    assert all(fault and expected for fault, expected in rows.values())
    sizes = {"F": 23, "S": 14, "M": 10, "I": 5, "C": 12, "D": 10, "N": 7, "W": 5, "T": 4, "P": 5}
    assert list(rows) == [f"{letter}{n}" for letter, size in sizes.items() for n in range(1, size + 1)]
