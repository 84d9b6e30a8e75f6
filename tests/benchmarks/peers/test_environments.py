"""A peer's Python is the one that was named, and whoever lacks the program is told so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgetl.benchmarks.peers.environments import ULTRALYTICS, Program, has, python_with, run, versions
from edgetl.errors import EdgetlError, MissingPartError

HERE = Path(sys.executable)


def test_python_that_has_the_program_is_taken_as_it_is_named(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(HERE)
    assert (
        python_with(Program("json", ()), link, tmp_path / "unused") == link
    )  # a link into an environment is that environment
    assert not (tmp_path / "unused").exists()


def test_python_that_lacks_it_is_refused(tmp_path: Path) -> None:
    assert not has(tmp_path / "none", ULTRALYTICS)
    with pytest.raises(MissingPartError, match="no_such_program: not in the Python that --peer names"):
        python_with(Program("no_such_program", ()), HERE, tmp_path)


def test_program_is_run_without_asking_hubs_and_its_last_words_are_kept(tmp_path: Path) -> None:
    asks = "import os, sys\nprint(os.environ['YOLO_OFFLINE'], *sys.argv[1:])\nprint('odd', file=sys.stderr)\nsys.exit(int(sys.argv[1]))"
    printed, cost = run(HERE, asks, 0, "a b", folder=tmp_path / "made", name="a program")
    assert printed == ["true 0 a b"] and cost.seconds > 0
    assert (tmp_path / "made" / "a-program.log").read_text() == "odd\n"
    with pytest.raises(EdgetlError, match="a program ended with exit code 3: odd"):
        run(HERE, asks, 3, folder=tmp_path, name="a program")


def test_versions_are_those_of_that_python() -> None:
    import importlib.metadata

    assert versions(HERE, "click") == {"click": importlib.metadata.version("click")}
    assert json.dumps(versions(HERE)) == "{}"
