"""The table of faults names tests that there are."""

from __future__ import annotations

import ast
import re

from tests.docs.test_docs import ROOT


def test_every_test_that_the_table_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "faults.md").read_text())
    assert named
    missing = [f"{file}::{test}" for file, test in named if test not in defined_in(file)]
    assert missing == [], "run `make faults`"


def defined_in(file: str) -> set[str]:
    """The tests that a file of this project defines; none where it is not there."""
    path = ROOT / file
    tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
