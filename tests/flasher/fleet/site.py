"""Sites of several devices on this machine, each with a device root of its own and the real device-side commands."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import pytest

from edgetl.runtime.flashing.layout import DeviceRoot

ROOT = Path(__file__).parent.parent.parent.parent


def need_ansible(program: str) -> str:
    """The path of one of Ansible's programs; skips where it is not installed."""
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        pytest.skip("needs ansible-core; run: pip install 'edgetl[dev]'")
    return found


def site(folder: Path, devices: int, broken: tuple[int, ...] = ()) -> Path:
    """The inventory of a site; a broken device allows a model no time at all, so that none can live up to it."""
    lines = ["all:", "  children:", "    hall:", "      hosts:"]
    for number in range(devices):
        root = DeviceRoot(folder / f"line-{number}")
        root.prepare()
        budget = "budget: {latency_ms: 0.000001}\n" if number in broken else ""
        settings = f"architecture: {platform.machine()}\nflashing: {{signatures: off, trial_s: 0.2}}\n{budget}"
        root.config.write_text(settings)
        lines.append(f"        line-{number}: {{ansible_host: 'local:{root.path}'}}")
    inventory = folder / "inventory.yaml"
    inventory.write_text("\n".join(lines) + "\n")
    return inventory


def running(folder: Path, devices: int) -> list[bool]:
    """Which devices of the site have a release that would run."""
    return [DeviceRoot(folder / f"line-{number}").pointed() is not None for number in range(devices)]
