"""The emulated device with an init system is one that a service can be proved on."""

from __future__ import annotations

import pytest

from tests.emulation.container import ContainerDevice

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(1200)]  # the first run builds the device


def test_it_boots_an_arm64_with_systemd_over_ssh(container: ContainerDevice) -> None:
    done = container.ssh("uname -m; cat /proc/1/comm; /opt/edgetl/venv/bin/python -c 'import cv2, ai_edge_litert'")
    assert done.stdout.split() == ["aarch64", "systemd"], done.stderr


def test_what_was_written_outlives_a_pulled_plug(container: ContainerDevice) -> None:
    assert container.ssh("echo kept > /root/note; sync").returncode == 0
    container.stop()
    container.start()
    assert container.ssh("cat /root/note").stdout == "kept\n"
