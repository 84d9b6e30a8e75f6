"""Fixtures shared by all rooms: a small data set, a run and a bundle, made once by the real commands."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.fault_table", "tests.emulation.fixtures"]

ROOT = Path(__file__).parent.parent
# For a net that was hardly trained.
OPEN_GATE = ("--max-drop", 60, "--max-recall-loss", 100, "--max-flips", 100, "--max-gain-error", 1000)


def edgetl(*args: object, timeout: float = 280, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Runs the real command line as a user would, in a process of its own."""
    command = [sys.executable, "-m", "edgetl", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


def ended_by_sigterm(temporary: Path, begun: str, *args: object) -> None:
    """The real command line, with its temporary files in a folder: once `begun` is to be found there it is sent SIGTERM, and has to
    end as by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgetl", *map(str, args)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and not list(temporary.glob(begun)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Emulated devices take minutes and 2 GB to build the first time, so they are asked for: all of them by
    EDGETL_EMULATED=1, by EDGETL_EMULATED=chroot those that need no machine of their own."""
    wanted = os.environ.get("EDGETL_EMULATED")
    for item in items:
        if item.get_closest_marker("long") and not os.environ.get("EDGETL_LONG"):
            item.add_marker(
                pytest.mark.skip(reason="half a minute of a benchmark that few run; `make test-all` runs it")
            )
        quick = "arm64" in getattr(item, "fixturenames", ())
        if item.get_closest_marker("emulated") and wanted != "1" and not (wanted == "chroot" and quick):
            item.add_marker(pytest.mark.skip(reason="emulated devices are tested by `make test-all`"))


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Each test begins at the same place of torch's random numbers, so that its nets have the same weights whatever ran before."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Choices and downloads of tests stay out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def plain_logging() -> None:
    """Each test begins as a program that imports edgetl does: a command that set up logging before leaves none of it."""
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    for name in ["edgetl", *(name for name in logging.root.manager.loggerDict if name.startswith("edgetl."))]:
        log = logging.getLogger(name)
        log.handlers.clear()
        log.propagate, log.disabled = True, False
        log.setLevel(logging.NOTSET)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C works here as at a terminal; a shell that starts something in the background has it ignored, and with it
    what is started from here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
    """The bundle of that run, on the rung of which there is a second export. Two epochs teach it little, so the gate is opened
    wide; other tests close it."""
    bundle = tmp_path_factory.mktemp("bundle") / "parts.edgetl"
    done = edgetl("export", small_run, "--out", bundle, *OPEN_GATE, "--min-score", 0, "--rung", "mse")
    assert done.returncode == 0, done.stderr
    return bundle


@pytest.fixture(scope="session")
def good_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn good parts to learn from, and good and scratched ones to judge."""
    from tests.good_parts import write_set

    return write_set(tmp_path_factory.mktemp("good") / "parts")


@pytest.fixture(scope="session")
def good_run(good_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-class run of the real trainer: a tiny net at 96 px whose features are random."""
    run = tmp_path_factory.mktemp("one-class") / "run"
    done = edgetl("train", "--recipe", "one-class", "--data", good_parts, "--model", "resnet_tiny", "--weights", "none",
                  "--imgsz", 96, "--bank", 200, "--out", run)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="session")
def good_bundle(good_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that run, through the gate as it stands for users."""
    bundle = tmp_path_factory.mktemp("one-class") / "ring.edgetl"
    done = edgetl("export", good_run, "--out", bundle)
    assert done.returncode == 0, done.stderr
    return bundle
