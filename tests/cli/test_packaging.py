"""What is installed is what lies in the rooms: all of it, in one namespace, and nothing besides."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgetl.flasher.provision.desired import device_extra
from edgetl.runtime.device_config import names, read_config
from edgetl.runtime.interpreters.registry import INTERPRETERS
from tests.conftest import ROOT

ROOMS = {
    "src/edgetl": "edgetl",
    "runtime": "edgetl/runtime",
    "trainer": "edgetl/trainer",
    "exporter": "edgetl/exporter",
    "flasher": "edgetl/flasher",
    "benchmarks": "edgetl/benchmarks",
    "device-configs": "edgetl/device_configs",
}
SHIPPED = {".py", ".json", ".yaml", ".safetensors", ".typed", ".html", ".css", ".js", ".svg", ".j2"}


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
def test_built_in_weights_are_in_it_to_the_byte(wheel: Path) -> None:
    files = sorted((ROOT / "trainer/builtin").glob("*.safetensors"))
    assert files
    with zipfile.ZipFile(wheel) as archive:
        for path in files:
            assert archive.read(f"edgetl/trainer/builtin/{path.name}") == path.read_bytes()


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


def required(wheel: Path, extra: str) -> set[str]:
    """The packages that edgetl[extra] asks for beyond edgetl's own."""
    folder = next(name for name in members(wheel) if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    asked = importlib.metadata.PathDistribution(zipfile.Path(wheel, f"{folder}/")).requires or []
    return {re.split(r"[^\w.-]", line)[0] for line in asked if re.search(f"""extra == ["']{extra}["']""", line)}


@pytest.mark.slow
def test_each_interpreter_comes_with_its_extra_and_nothing_for_training(wheel: Path) -> None:
    for module, _, extra in INTERPRETERS.values():
        packages = required(wheel, extra)
        assert {module.replace("_", "-"), "numpy", "opencv-python-headless", "pyyaml", "simplejpeg"} == packages


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_what_is_installed_on_a_device_brings_the_interpreter_of_its_settings(name: str, wheel: Path) -> None:
    config = read_config(name)
    module, _, _ = INTERPRETERS[config.interpreter or "litert"]
    assert module.replace("_", "-") in required(wheel, device_extra(config))
