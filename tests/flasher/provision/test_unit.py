"""The service's unit is understood by systemd, and shuts the service in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgetl.flasher.provision.unit import service_unit
from edgetl.runtime.device_config import names, read_config

MAX_EXPOSURE = 2.0  # of 10; systemd's own units lie between 1 and 10, and most daemons of Debian above 9


def analyzed(unit: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze; run: make system")
    path = folder / "edgetl.service"
    # The program is on the device, not here.
    path.write_text(re.sub(r"^(Exec(?:Start|StopPost)=-?)/opt\S+", r"\1/bin/true", unit, flags=re.MULTILINE))
    return subprocess.run(["systemd-analyze", *arguments, str(path)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", names())
def test_systemd_finds_no_fault_with_it(name: str, tmp_path: Path) -> None:
    done = analyzed(service_unit(read_config(name), "run --slot /var/lib/edgetl"), tmp_path, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_key_that_systemd_does_not_know_would_be_found(tmp_path: Path) -> None:
    unit = service_unit(read_config("raspberry-pi-5"), "run").replace("WatchdogSec", "WatchdogSecs")
    assert "WatchdogSecs" in analyzed(unit, tmp_path, "verify", "--man=no").stderr


@pytest.mark.parametrize("name", names())
def test_it_is_shut_in(name: str, tmp_path: Path) -> None:
    unit = service_unit(read_config(name), "run --slot /var/lib/edgetl")
    done = analyzed(unit, tmp_path, "security", "--offline=yes", "--no-pager")
    exposure = re.search(r"exposure level.*: ([\d.]+)", done.stdout)
    assert exposure is not None, done.stderr
    assert float(exposure[1]) < MAX_EXPOSURE + (1.0 if name.startswith("jetson") else 0.0)


def test_memory_is_limited_as_the_settings_say() -> None:
    assert "MemoryMax=220M\n" in service_unit(read_config("raspberry-pi-zero-2-w"), "run")
