"""What is installed is what lies in the rooms: all of it, in one namespace, and nothing besides."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {
    "src/edgetl": "edgetl",
    "runtime": "edgetl/runtime",
    "trainer": "edgetl/trainer",
    "exporter": "edgetl/exporter",
    "benchmarks": "edgetl/benchmarks",
    "device-configs": "edgetl/device_configs",
}
SHIPPED = {".py", ".yaml", ".safetensors", ".typed"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the tree is not littered and no stale build folder helps along."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools in this environment: pip install setuptools wheel")
    copy, out = tmp_path_factory.mktemp("tree") / "tree", tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns(
        ".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "docs", "*.edgetl", "demo-out", "out"
    )
    shutil.copytree(ROOT, copy, ignore=ignore, symlinks=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        ".",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--quiet",
        "--wheel-dir",
        str(out),
    ]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def expected() -> set[str]:
    """What the rooms hold, under the names that it is installed by."""
    found = set()
    for folder, package in ROOMS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SHIPPED and path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{package}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


@pytest.mark.slow
def test_wheel_and_tree_hold_the_same_files(wheel: Path) -> None:
    inside = {name for name in members(wheel) if ".dist-info/" not in name}
    assert len(inside) > 90
    assert sorted(inside) == sorted(expected())


@pytest.mark.slow
def test_nothing_lies_loose_beside_the_package(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in members(wheel)}
    assert len(tops) == 2
    assert "edgetl" in tops and next(iter(tops - {"edgetl"})).endswith(".dist-info")


@pytest.mark.slow
def test_types_script_and_licence_are_in_it(wheel: Path) -> None:
    names = members(wheel)
    assert "edgetl/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)
    with zipfile.ZipFile(wheel) as archive:
        scripts = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "edgetl = edgetl.cli:main" in scripts


@pytest.mark.slow
def test_installed_package_runs_without_the_tree(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import edgetl; print(edgetl.__file__); from edgetl.cli import call; sys.exit(call(['--help']))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(str(tmp_path / "site"))
