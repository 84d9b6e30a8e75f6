"""Setting up a device that lacks something: internet, root's login, or a keyboard for its first boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.device.site import Workstation
from tests.device.test_device_life import waited
from tests.emulation.container import ContainerDevice
from tests.emulation.layers import ssh
from tests.emulation.machine import Machine
from tests.flasher.provision.cards import BOOT_FILES

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(2400)]


def test_without_internet_all_packages_are_carried_over_and_installed(
    bare_container: ContainerDevice, tmp_path: Path
) -> None:
    office = Workstation(tmp_path, bare_container.key, bare_container.port)
    # An index that is not there: whatever pip asked it for would end the installation.
    bare_container.ssh("printf '[global]\\nindex-url = http://127.0.0.1:9/\\nretries = 0\\n' > /etc/pip.conf")
    set_up = ["device", "init", "line-3", "--config", "generic-arm64", "--line", office.line_file(), "--offline"]
    first = office.edgetl(*set_up, timeout_s=2000)
    if "pip download failed" in first.stderr:
        pytest.skip(f"needs a package index to fetch wheels from: {first.stderr.splitlines()[-1]}")
    assert first.returncode == 0, first.stderr
    said = bare_container.ssh(
        "/opt/edgetl/venv/bin/python -c 'import cv2, ai_edge_litert, edgetl; print(edgetl.__file__)'"
    )
    assert said.stdout.startswith("/opt/edgetl/"), said.stderr
    assert waited(lambda: bare_container.ssh("systemctl is-active edgetl").stdout == "active\n")
    again = office.edgetl(*set_up)
    assert again.stdout.splitlines()[-1] == "line-3: nothing to change", again.stderr


def test_an_ordinary_user_sets_up_by_sudo_and_flashes_with_no_more_than_that_right(
    machine: Machine, tmp_path: Path
) -> None:
    office = Workstation(tmp_path, machine.key, machine.port, user="pi")
    done = office.edgetl("device", "init", "line-3", "--config", "generic-arm64", "--signers", office.signers, "--line",
                         office.line_file(), "--wheelhouse", office.wheelhouse, timeout_s=2000)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert machine.ssh("rm /etc/sudoers.d/010_pi-nopasswd").returncode == 0
    assert machine.ssh("sudo -n true", user="pi").returncode != 0
    assert waited(lambda: machine.ssh("systemctl is-active edgetl").stdout == "active\n")
    limit = machine.ssh("cat /sys/fs/cgroup/system.slice/edgetl.service/memory.max").stdout
    assert limit == f"{400 * 1024 * 1024}\n", "the kernel holds it to the memory_mb of these settings"
    flashed = office.edgetl("flash", office.release("one", 1), "--to", "line-3", "--trial", 5)
    assert flashed.returncode == 0, flashed.stderr
    assert machine.ssh("stat -c %U /var/lib/edgetl/journal").stdout == "edgetl\n"
    told = office.edgetl("device", "doctor", "line-3")
    assert told.returncode == 1
    assert "pi cannot become root there without a password" in told.stdout


def test_an_older_card_leaves_a_service_at_its_first_boot_that_sets_up_at_the_next(
    container: ContainerDevice, tmp_path: Path
) -> None:
    office = Workstation(tmp_path, container.key, container.port)
    boot = tmp_path / "bootfs"
    said = office.card(boot, BOOT_FILES, container, "--hostname", "line-3", "--user", "inspector")
    assert "ready (firstrun)" in said
    # What the kernel's flag starts at the first boot, before the network and the login are up.
    done = container.ssh("bash /boot/firmware/firstrun.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        container.ssh("cat /etc/hostname; cat /boot/firmware/cmdline.txt").stdout
        == "line-3\n" + BOOT_FILES["cmdline.txt"]
    )
    assert container.ssh("ls /boot/firmware/firstrun.sh").returncode != 0
    assert container.ssh("visudo -cq").returncode == 0

    # The boards log in by PAM, to which a locked password keeps no key out; this server has none.
    assert container.ssh("usermod -p '*' inspector").returncode == 0

    container.stop()
    container.start()
    own = office.folder / "release"
    assert ssh(own, container.port, "id -un", user="inspector").stdout == "inspector\n"
    assert waited(lambda: container.ssh("test -e /var/lib/edgetl/.set-up").returncode == 0, 1200), container.ssh(
        "journalctl -u edgetl-first-boot -n 50 --no-pager"
    ).stdout
    assert waited(lambda: container.ssh("systemctl is-active edgetl").stdout == "active\n")
    told = office.edgetl("device", "status", "line-3")
    assert "one, release 1" in told.stdout, told.stderr
