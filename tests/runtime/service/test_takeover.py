"""The service manager's patience while the service starts anew in its own place, with another release."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.runtime.flashing.layout import DeviceRoot
from tests.runtime.flashing.conftest import root
from tests.runtime.flashing.test_service import flashed
from tests.runtime.flashing.world import configure, tiny_release
from tests.runtime.service.test_run_as_a_service import SIM, Service, services

__all__ = ["root", "services"]

OWN_LIMIT = "WATCHDOG_USEC=800000"


@pytest.mark.slow
@pytest.mark.fault("W1")
def test_watchdog_waits_as_long_as_a_release_may_take_and_then_holds_its_own_limit_again(
    root: DeviceRoot, tmp_path: Path, services: list[Service]
) -> None:
    """Else a board that needs longer for its start would be ended by it, and the new release be blamed for that."""
    configure(root, stall_s=20, takeover_s=33, trial_s=1)
    service = Service(tmp_path, "--slot", root.path, "--source", SIM)
    services.append(service)
    service.until("WATCHDOG=1", 2)
    assert flashed(root, tiny_release(tmp_path / "new.edgetl", "new", 1)).startswith("ran well")
    service.until("READY=1", 2)
    service.until(OWN_LIMIT, 2)
    limits = [line for line in service.told if line == "READY=1" or line.startswith("WATCHDOG_USEC=")]
    assert limits == ["READY=1", OWN_LIMIT, "WATCHDOG_USEC=33000000", "READY=1", OWN_LIMIT]
