"""Environments of other programs from PyPI, each in a folder of its own: some gigabytes, and some minutes to make."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import subprocess
import venv
from pathlib import Path

import msgspec

from edgetl.benchmarks.commands_of import Cost, watched
from edgetl.errors import EdgetlError, MissingPartError

# A torchvision that was built for another torch lacks its own operators and cannot be imported; none of what is asked of the
# peers here needs one.
_OPERATORS = """
import torch
try:
    import torchvision
except RuntimeError:
    import sys
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""
# Hubs and telemetry are not asked: what is measured must not depend on who answers.
_QUIET = {"YOLO_VERBOSE": "false", "YOLO_OFFLINE": "true", "HF_HUB_OFFLINE": "1", "ANOMALIB_DISABLE_TELEMETRY": "1"}


class Program(msgspec.Struct, frozen=True):
    """Another program: the module by which it is known, which is also its package's name, and what pip is asked for; `on_torch` says
    whether it is given edgetl's version of torch."""

    module: str
    packages: tuple[str, ...]
    on_torch: bool = True


ULTRALYTICS = Program(
    "ultralytics",
    ("torchvision", "ultralytics>=8.4,<9", "litert-torch>=0.10", "ai-edge-litert>=2.3", "ai-edge-quantizer>=0.10"),
)  # fmt: skip
ONNX2TF = Program(
    "onnx2tf",
    (
        "onnx2tf>=1.29,<1.30", "tensorflow>=2.19,<2.20", "tf-keras>=2.19,<2.20", "onnx>=1.17,<1.20", "onnxruntime>=1.20,<1.24",
        "ai-edge-litert>=1.2,<2.2", "sympy>=1.13,<2",
    ),
    on_torch=False,
)  # fmt: skip
ANOMALIB = Program("anomalib", ("torchvision", "anomalib>=2,<3"))


def python_with(program: Program, given: Path | None, folder: Path, option: str = "--peer") -> Path:
    """The Python to run a program with: the one that was `given` with `option`, or that of an environment in `folder`, which is made where
    it is not there yet. Raises MissingPartError where it lacks the program, or cannot be had."""
    python = folder / "bin" / "python" if given is None else Path(os.path.abspath(given))  # noqa: PTH100 - a link stays one
    if given is None and not has(python, program):
        _make(program, folder)
    if not has(python, program):
        where = "the environment that was made for it" if given is None else f"the Python that {option} names"
        raise MissingPartError(f"{program.module}: not in {where}")
    return python


def has(python: Path, program: Program) -> bool:
    """Whether a Python has the program."""
    asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({program.module!r}) is None)"
    return python.exists() and subprocess.run([str(python), "-c", asked], check=False).returncode == 0


def _make(program: Program, folder: Path) -> None:
    """An environment with a program and, where it runs on torch, edgetl's own version of that, so that none is ahead by its torch.
    That comes first: what needs it takes the one that is there."""
    venv.create(folder, with_pip=True)
    python, torch = folder / "bin" / "python", (_torch(),)
    for packages in (torch, (*torch, *program.packages)) if program.on_torch else (program.packages,):
        words = [str(python), "-m", "pip", "install", "--quiet", *packages]
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise MissingPartError(f"{program.module}: pip could not install it ({last[:200]})")
    packages_folder = next(folder.glob("lib/python*/site-packages"))
    if program.on_torch:
        (packages_folder / "sitecustomize.py").write_text(_OPERATORS)


def _torch() -> str:
    """What pip is asked for: the version that edgetl has here, or any where it has none."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"torch=={importlib.metadata.version('torch').partition('+')[0]}"
    return "torch"


def versions(python: Path, *packages: str) -> dict[str, str]:
    """The versions of packages that a Python has."""
    found: dict[str, str] = json.loads(subprocess.check_output([str(python), "-c", _VERSIONS, *packages], text=True))
    return found


def quiet() -> dict[str, str]:
    """The environment variables under which a peer asks no hub and says little."""
    return {**os.environ, **_QUIET}


def run(python: Path, program: str, *args: object, folder: Path, name: str) -> tuple[list[str], Cost]:
    """Runs a program's text in `folder`, with what it says in NAME.log there; the lines that it printed, and its cost.
    Raises EdgetlError with its last words."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name.replace(' ', '-')}.log"
    words = [str(python), "-c", program, *map(str, args)]
    printed, code, cost = watched(words, cwd=folder, environment=quiet(), log=log)
    if code != 0:
        said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise EdgetlError(f"{name} ended with exit code {code}: {said[-1][:300]}")
    return printed.splitlines(), cost
