"""The benchmark of a flash's time flashes for real, there and back, a device that requires signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.device.site import Workstation
from tests.emulation.flash_time import here


@pytest.mark.slow
def test_two_releases_are_flashed_in_turn(tmp_path: Path) -> None:
    office = Workstation(tmp_path, tmp_path / "no-key", 22)
    bundles = [office.release("one", 1), office.release("two", 2)]
    (tmp_path / "here").mkdir()
    found = here(office, bundles, tmp_path / "here", rounds=2)
    assert found["flashes"] == 4
    assert 0 < found["median_s"] <= found["max_s"]
    assert found["device"]["slots"] == ["slots/a/bundle.edgetl", "slots/b/bundle.edgetl"]
    assert found["device"]["staging"] == 0
