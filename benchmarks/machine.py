"""What a figure depends on: the machine that it was measured on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from edgetl import __version__
from edgetl.runtime.spare import cores

_INT8 = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
_LIBRARIES = ("ai-edge-litert", "tflite-runtime", "onnxruntime", "onnxruntime-gpu", "numpy", "opencv-python",
              "opencv-python-headless")  # fmt: skip
_UNKNOWN = "not known"
# What may be another from one day to the next, and yet it is the same machine; figures may differ for it.
_SOFTWARE = ("system", "python", "edgetl", "libraries", "governor")


def machine(root: Path = Path("/")) -> dict[str, str]:
    """What a figure depends on: processor, board, memory, clock policy, system and library versions.

    `serial` is a hash of the board's or system's own number: it tells two of a kind apart and does not give the number away.
    """
    processors = _lines(root / "proc/cpuinfo")
    return {
        "processor": _after_colon(processors, ("model name", "Model")) or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "int8_instructions": _instructions(processors),
        "cores": str(cores()),
        "memory_mb": _memory_mb(root),
        "board": _board(root),
        "serial": _serial(root),
        "governor": _governor(root),
        "system": platform.platform(),
        "python": platform.python_version(),
        "edgetl": __version__,
        "libraries": ", ".join(_versions()),
    }


def kind_of(where: Mapping[str, str]) -> str:
    """The name under which reference figures of such machines are kept: board or processor with its int8 instructions, and
    cores."""
    board = where.get("board", _UNKNOWN)
    name = where["processor"] if board == _UNKNOWN or where["architecture"] == "x86_64" else board
    best = where["int8_instructions"].split()[-1]
    slug = re.sub(r"[^a-z0-9]+", "-", f"{name} {best}".lower()).strip("-")
    return f"{slug}-{where.get('cores', '0')}-cores"


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """In what two machines differ, hardware first, in words."""
    names = sorted({*one, *other}, key=lambda name: (name in _SOFTWARE, name))
    return [
        f"{name.replace('_', ' ')}: {one.get(name, _UNKNOWN)} and {other.get(name, _UNKNOWN)}"
        for name in names
        if one.get(name) != other.get(name)
    ]


def _instructions(processors: list[str]) -> str:
    flags = _after_colon(processors, ("flags", "Features")).split()
    return " ".join(name for name in _INT8 if name in flags) or "none known"


def _memory_mb(root: Path) -> str:
    total = _after_colon(_lines(root / "proc/meminfo"), ("MemTotal",)).partition(" ")[0]
    return str(int(total) // 1024) if total.isdigit() else _UNKNOWN


def _board(root: Path) -> str:
    """From the device tree, or from the firmware of a PC."""
    vendor, product = (_text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    return _text(root / "proc/device-tree/model") or " ".join(filter(None, (vendor, product))) or _UNKNOWN


def _serial(root: Path) -> str:
    number = _text(root / "proc/device-tree/serial-number") or _text(root / "etc/machine-id")
    return hashlib.sha256(f"edgetl {number}".encode()).hexdigest()[:12] if number else _UNKNOWN


def _governor(root: Path) -> str:
    found = [_text(p) for p in sorted((root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor"))]
    return " ".join(dict.fromkeys(filter(None, found))) or _UNKNOWN


def _versions() -> list[str]:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _after_colon(lines: list[str], names: tuple[str, ...]) -> str:
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")


def _text(path: Path) -> str:
    return "".join(_lines(path)).strip("\0 \t")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
