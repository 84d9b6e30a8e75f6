"""A device has no torch and no TensorFlow: nothing in the runtime may import them, and --help imports nothing."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import edgetl.runtime

MODULES = ["edgetl.runtime", *(m.name for m in pkgutil.walk_packages(edgetl.runtime.__path__, "edgetl.runtime."))]
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "tensorflow",
    "matplotlib",
    "onnx",
    "onnx2tf",
    "edgetl.trainer",
    "edgetl.exporter",
)


def imported(program: str, names: tuple[str, ...]) -> str:
    """Which of the modules are loaded after a program ran in a process of its own."""
    ending = f"\nimport sys; print('loaded:', *[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program + ending], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.fault("P3")
def test_no_module_of_the_runtime_imports_what_only_a_workstation_has() -> None:
    assert len(MODULES) > 40
    assert imported("\n".join(f"import {name}" for name in MODULES), HEAVY) == "loaded:"


EACH_FIRST = """
import importlib, os, sys
import cv2, msgspec, numpy
for name in {names!r}:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(name, repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)
"""


def test_every_module_can_be_imported_first() -> None:
    """Imports in a circle work or not by what was imported before, so each starts in a process of its own."""
    command = [sys.executable, "-c", EACH_FIRST.format(names=MODULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_help_imports_neither_numpy_nor_opencv() -> None:
    program = "from edgetl.cli import call\nassert call(['--help']) == 0"
    assert imported(program, ("numpy", "cv2", "msgspec", *HEAVY)) == "loaded:"
