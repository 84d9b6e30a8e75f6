"""Fixtures shared by all rooms: a small data set, a run and a bundle, made once by the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["tests.fault_table"]

ROOT = Path(__file__).parent.parent


def edgetl(*args: object, timeout: float = 280, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Runs the real command line as a user would, in a process of its own."""
    command = [sys.executable, "-m", "edgetl", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Choices and downloads of tests stay out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of public data sets and weights ($EDGETL_DATA, default ../shared); skips where it is absent."""
    root = Path(os.environ.get("EDGETL_DATA", ROOT.parent / "shared"))
    if not (root / "data").is_dir():
        pytest.skip(f"needs the public data sets in $EDGETL_DATA ({root} is absent)")
    return root


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn parts: five classes, 16 pictures each to train and 4 to test, 160×120 px."""
    from edgetl.runtime.sim import write_dataset

    folder = tmp_path_factory.mktemp("data") / "parts"
    write_dataset(folder, seed=1, pictures_per_class=20, width=160, height=120, splits={"train": 0.8, "test": 0.2})
    return folder


@pytest.fixture(scope="session")
def small_run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the real trainer on the drawn parts: a small net at 64 px, two epochs from scratch."""
    run = tmp_path_factory.mktemp("run") / "run"
    done = edgetl("train", "--data", small_data, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 64,
                  "--epochs", 2, "--batch", 16, "--ok", "ok", "--out", run)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="session")
def small_bundle(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that run. Two epochs teach it little, so the gate is opened wide; other tests close it."""
    bundle = tmp_path_factory.mktemp("bundle") / "parts.edgetl"
    done = edgetl("export", small_run, "--out", bundle, "--max-drop", 60, "--min-score", 0)
    assert done.returncode == 0, done.stderr
    return bundle
