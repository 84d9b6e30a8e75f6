"""A hall of emulated arm64 devices, each with its own systemd and SSH server, in the hands of Ansible's collection."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.device.site import Workstation
from tests.device.test_device_life import waited
from tests.emulation.container import ContainerDevice
from tests.emulation.store import CONTAINER_PARTS, require
from tests.flasher.fleet.collection import installed_in, play

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(3600)]

DEVICES = 3
SET_UP = "- hosts: all\n  gather_facts: false\n  roles: [edgetl.devices.device]\n"


class Hall(msgspec.Struct):
    """Booted devices, and the inventory that names them line-0 and so on."""

    devices: list[ContainerDevice]
    office: Workstation
    inventory: Path
    collections: Path

    def play(self, playbook: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Runs a playbook on all of them, as a site would."""
        return play(
            playbook, self.collections, self.inventory, variables, environment=self.office.environment, timeout_s=3000
        )

    def rollout(self, bundle: Path, **variables: object) -> subprocess.CompletedProcess[str]:
        """The collection's playbook of waves."""
        return self.play("edgetl.devices.rollout", edgetl_bundle=str(bundle), edgetl_trial_s=5, **variables)

    def running(self) -> list[str | None]:
        """The name of the release that each device's service inspects with, as the service itself says."""
        done = self.office.edgetl("device", "status", "all", "--inventory", self.inventory, "--json")
        assert done.returncode == 0, done.stderr
        told = []
        for line in done.stdout.splitlines():
            facts = json.loads(line)["status"]
            names = {s["release"]["sha256"]: s["release"]["name"] for s in facts["slots"].values() if s["release"]}
            told.append(names.get((facts["service"] or {}).get("sha256")))
        return told

    def allow(self, number: int, latency_ms: str) -> None:
        """What this device's line gives a model for a part."""
        change = f"sed -i 's/^  *latency_ms: .*/  latency_ms: {latency_ms}/' /var/lib/edgetl/config.yaml"
        assert self.devices[number].ssh(change).returncode == 0


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    require(CONTAINER_PARTS)
    devices = [ContainerDevice(tmp_path / f"container-{number}") for number in range(DEVICES)]
    with contextlib.ExitStack() as stack:
        for device in devices:
            stack.callback(device.stop)
        with ThreadPoolExecutor(DEVICES) as pool:
            list(pool.map(lambda device: device.start(), devices))
        office = Workstation(tmp_path, devices[0].key, devices[0].port)
        hosts = {
            f"line-{number}": {
                "ansible_host": "127.0.0.1", "ansible_port": device.port, "ansible_user": "root",
                "ansible_ssh_private_key_file": str(device.key),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={tmp_path}/hall_hosts -o StrictHostKeyChecking=accept-new",
            }
            for number, device in enumerate(devices)
        }  # fmt: skip
        inventory = tmp_path / "inventory.yaml"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        yield Hall(devices, office, inventory, installed_in(tmp_path))


@pytest.mark.fault("F22")
def test_a_canary_then_waves_and_an_end_where_one_fails(hall: Hall) -> None:
    office = hall.office
    playbook = hall.inventory.with_name("set-up.yaml")
    playbook.write_text(SET_UP)
    done = hall.play(
        str(playbook), edgetl_config="generic-arm64", edgetl_signers=str(office.signers), edgetl_line=str(office.line_file()),
        edgetl_wheelhouse=str(office.wheelhouse),
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("changed=1") == DEVICES, done.stdout + done.stderr
    one, two, three = (office.release(name, number) for number, name in enumerate(("one", "two", "three"), 1))

    first = hall.rollout(one)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count("PLAY [") == 3, "the canary, a quarter, the rest"
    assert waited(lambda: hall.running() == ["one"] * DEVICES), hall.running()

    hall.allow(0, "0.000001")
    canary = hall.rollout(two, edgetl_max_failed_percent=100)
    assert canary.returncode != 0 and "E_HEALTH" in canary.stdout and "too slow" in canary.stdout, canary.stdout
    assert canary.stdout.count("PLAY [") == 1, "nobody after a canary that fails, whatever share may fail"
    assert hall.running() == ["one"] * DEVICES

    hall.allow(0, "null")
    hall.allow(1, "0.000001")
    wave = hall.rollout(two)
    assert wave.returncode != 0 and "E_HEALTH" in wave.stdout, wave.stdout
    assert wave.stdout.count("PLAY [") == 2, "the last wave is not begun"
    assert waited(lambda: hall.running() == ["two", "one", "one"]), hall.running()

    hall.allow(1, "null")
    again = hall.rollout(three, edgetl_max_failed_percent=50)
    assert again.returncode == 0, again.stdout + again.stderr
    assert waited(lambda: hall.running() == ["three"] * DEVICES), hall.running()
    same = hall.rollout(three)
    assert same.returncode == 0 and same.stdout.count("changed=0") == DEVICES, same.stdout
    assert [device.ssh("systemctl is-active edgetl").stdout for device in hall.devices] == ["active\n"] * DEVICES
