"""A device install in its own clean environment: small, without training libraries, and able to run a bundle."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FORBIDDEN = ("torch", "torchvision", "timm", "tensorflow", "keras", "matplotlib", "onnx", "scipy", "rich")
MAX_MB = 350


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment into which only edgetl[device] was installed."""
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", f"{ROOT}[device]"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    if done.returncode != 0 and any(
        word in done.stderr for word in ("No matching distribution", "Connection", "resolve")
    ):
        pytest.skip(f"needs a package index to install edgetl[device] from: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return python


def test_it_is_small(device: Path) -> None:
    packages = next(device.parent.parent.glob("lib/python*/site-packages"))
    size = sum(f.stat().st_size for f in packages.rglob("*") if f.is_file() and not f.is_symlink())
    assert size < MAX_MB * 1e6


def test_nothing_for_training_was_installed(device: Path) -> None:
    listed = subprocess.run(
        [str(device), "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
    )
    installed = {row["name"].lower() for row in json.loads(listed.stdout)}
    assert installed & set(FORBIDDEN) == set()
    assert "edgetl" in installed


def test_it_verifies_and_runs_a_bundle_without_importing_training_libraries(
    device: Path, small_bundle: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from edgetl.cli import call\n"
        f"assert call(['verify', {str(small_bundle)!r}]) == 0\n"
        f"code = call(['run', {str(small_bundle)!r}, '--source', 'sim:parts=3,pace=fast', '--json'])\n"
        f"print([m for m in {FORBIDDEN!r} if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([str(device), "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]"
    summary = json.loads(lines[-2])["summary"]
    assert (summary["line"]["parts"], summary["line"]["missed"]) == (3, 0)
    assert summary["interpreter"] == "litert"


@pytest.mark.fault("P2")
@pytest.mark.parametrize(("command", "extra"), [("train", "train"), ("export", "export")])
def test_a_workstation_command_names_the_missing_extra(device: Path, command: str, extra: str, tmp_path: Path) -> None:
    args = {"train": ["--data", ".", "--model", "resnet18", "--out", "run"], "export": ["run", "--out", "x.edgetl"]}
    done = subprocess.run(
        [str(device), "-m", "edgetl", command, *args[command]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert "edgetl[" in done.stderr


def test_the_same_bundle_decides_the_same_there_and_here(device: Path, small_bundle: Path, small_data: Path) -> None:
    def predicted(python: str) -> object:
        done = subprocess.run(
            [python, "-m", "edgetl", "evaluate", str(small_bundle), "--data", str(small_data), "--interpreter", "litert",
             "--json"], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["confusion"]

    assert predicted(str(device)) == predicted(sys.executable)
