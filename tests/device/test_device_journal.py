"""A real journald on emulated arm64: what the service logs is found by its fields."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.device.site import Workstation
from tests.emulation.container import ContainerDevice

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(1200)]


def found(container: ContainerDevice, *fields: str) -> list[dict[str, str]]:
    """The entries of edgetl that have these fields, oldest first; waits for the first one."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        said = container.ssh(f"journalctl -t edgetl -o json --no-pager {' '.join(fields)}").stdout
        if entries := [json.loads(line) for line in said.splitlines() if line.startswith("{")]:
            return entries
        time.sleep(1)
    raise AssertionError(container.ssh("journalctl -u edgetl -n 40 --no-pager").stdout)


def test_what_the_service_logs_is_found_in_the_journal_by_its_fields(
    container: ContainerDevice, tmp_path: Path
) -> None:
    """A device without a release runs in safe mode, and says so; each part is a FAULT."""
    office = Workstation(tmp_path, container.key, container.port)
    done = office.edgetl("device", "init", "line-3", "--config", "generic-arm64", "--line", office.line_file(),
                         "--wheelhouse", office.wheelhouse)  # fmt: skip
    assert done.returncode == 0, done.stderr
    safe = found(container, "EDGETL_EVENT=safe-mode")[0]
    assert safe["MESSAGE"].startswith("safe mode: ") and safe["EDGETL_REASON"] in safe["MESSAGE"]
    assert (safe["PRIORITY"], safe["LOGGER"]) == ("4", "edgetl.slot")
    assert safe["_SYSTEMD_UNIT"] == "edgetl.service", "the journal knows whose word it is"
    fault = found(container, "EDGETL_VERDICT=FAULT")[0]
    assert fault["EDGETL_REASON"].startswith("safe mode") and int(fault["EDGETL_SEQUENCE"]) >= 1
    assert container.ssh("journalctl -t edgetl EDGETL_VERDICT=OK -o json --no-pager").stdout == ""
