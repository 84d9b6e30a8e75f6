"""Fixtures of the workstation's side of flashing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetl.runtime.flashing.layout import DeviceRoot
from tests.flasher.sshd import Sshd, serving
from tests.runtime.conftest import full_disk
from tests.runtime.flashing.conftest import clock, keys, root
from tests.runtime.flashing.world import configure, tiny_release

__all__ = ["clock", "full_disk", "keys", "root"]


@pytest.fixture
def device(tmp_path: Path) -> DeviceRoot:
    """A device that is set up and runs nothing yet."""
    root = DeviceRoot(tmp_path / "device")
    root.prepare()
    configure(root)
    return root


@pytest.fixture
def server(device: DeviceRoot, tmp_path: Path) -> Iterator[Sshd]:
    """Its SSH server on loopback."""
    folder = tmp_path / "ssh"
    folder.mkdir()
    with serving(folder, device.path) as found:
        yield found


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release that fits it."""
    return tiny_release(tmp_path / "new.edgetl", name="new", number=5)
