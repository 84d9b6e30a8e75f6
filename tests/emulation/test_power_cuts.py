"""A device whose power is cut anywhere in a flash starts with exactly the old release or the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulation.power_cuts import power_cuts, prepared
from tests.emulation.pulled_plug import pulled_plugs
from tests.emulation.store import MACHINE_PARTS, require

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.fault("F2")
def test_after_every_cut_it_starts_with_the_old_release_or_the_new(tmp_path: Path) -> None:
    require(MACHINE_PARTS)
    with prepared(tmp_path) as site:
        frozen = power_cuts(site, tmp_path, cuts=12)
        assert len(frozen.cuts) >= 10
        assert frozen.bricked == []
        assert (frozen.cuts[0].release, frozen.cuts[-1].release) == ("old", "new")
        site.machine.cut_power()
        pulled = pulled_plugs(site, tmp_path, frozen.flash_s, pulls=2)
        assert len(pulled.cuts) == 2 and pulled.bricked == []
