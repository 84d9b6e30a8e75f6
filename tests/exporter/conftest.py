"""Fixtures of the exporter's tests. Besides the shared bundle there is one more export; the others reuse its files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import edgetl
from tests.runtime.conftest import full_disk

__all__ = ["full_disk"]


class Refused(NamedTuple):
    """An export whose gate cannot be passed, and the folder where it kept what it had converted."""

    done: subprocess.CompletedProcess[str]
    out: Path
    kept: Path


@pytest.fixture(scope="session")
def refused_export(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """The second export of the small run. No model gains 200 points, so its gate must stay shut."""
    out, kept = tmp_path_factory.mktemp("refused") / "parts.edgetl", tmp_path_factory.mktemp("kept")
    done = edgetl("export", small_run, "--out", out, "--keep", kept, "--min-score", 0, "--max-drop", -200)
    return Refused(done, out, kept)


@pytest.fixture
def converted(refused_export: Refused, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the files of that export in place of another conversion of the same run: all that follows is real."""

    def convert(run: object, data: object, folder: Path, reporter: object) -> None:
        shutil.copytree(refused_export.kept, folder, dirs_exist_ok=True)

    monkeypatch.setattr("edgetl.exporter.exporting._convert", convert)
    return refused_export.kept
