"""Fixtures of the exporter's tests. Besides the shared bundle there is one more export; the others reuse its files."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.calling import call
from tests.conftest import edgetl
from tests.exporter.sure import Sure, draw
from tests.runtime.conftest import full_disk

__all__ = ["full_disk"]
CONVERTER = Path(__file__).parent / "planted" / "converter.py"


class Refused(NamedTuple):
    """An export whose gate cannot be passed, and the folder where it kept what it had converted."""

    done: subprocess.CompletedProcess[str]
    out: Path
    kept: Path


@pytest.fixture(scope="session")
def refused_export(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """The second export of the small run. No model gains 200 points, so its gate must stay shut."""
    out, kept = tmp_path_factory.mktemp("refused") / "parts.edgetl", tmp_path_factory.mktemp("kept")
    done = edgetl("export", small_run, "--out", out, "--keep", kept, "--min-score", 0, "--max-drop", -200,
                  "--rung", "mse")  # fmt: skip
    return Refused(done, out, kept)


@pytest.fixture(scope="session")
def converted(refused_export: Refused, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The words for an export that takes that export's TFLite files instead of converting once more."""
    earlier = tmp_path_factory.mktemp("earlier")
    shutil.copy(refused_export.kept / "rungs" / "mse" / "int8.tflite", earlier)
    shutil.copy(refused_export.kept / "as-trained" / "float32.tflite", earlier)
    return through(CONVERTER, "none", earlier)


@pytest.fixture(scope="session")
def sure(tmp_path_factory: pytest.TempPathFactory) -> Sure:
    """Trained and exported by the real commands, under the default limits."""
    folder = tmp_path_factory.mktemp("sure")
    draw(folder / "data")
    done = edgetl("train", "--data", folder / "data", "--model", "resnet_tiny", "--weights", "none", "--imgsz", 32,
                  "--epochs", 6, "--batch", 16, "--lr", 2e-3, "--augmentation", "none", "--out", folder / "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = call("export", folder / "run", "--out", folder / "a.edgetl", "--keep", folder / "kept", "--rung", "mse")
    assert answer.code == 0, answer
    earlier = folder / "earlier"
    earlier.mkdir()
    shutil.copy(folder / "kept" / "rungs" / "mse" / "int8.tflite", earlier)
    shutil.copy(folder / "kept" / "as-trained" / "float32.tflite", earlier)
    return Sure(folder / "run", folder / "a.edgetl", earlier)


def through(program: Path, *words: object) -> tuple[str, str]:
    """The words for an export through another converter."""
    return "--converter", shlex.join([sys.executable, str(program), *map(str, words)])


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
