"""A hall of devices, each behind an SSH server of its own: `edgetl flash --to GROUP`, and the collection."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgetl.runtime.flashing.layout import DeviceRoot
from tests.conftest import edgetl
from tests.flasher.fleet.collection import installed_in, play
from tests.flasher.sshd import Sshd, serving
from tests.runtime.flashing.world import Keys, configure, tiny_release

pytestmark = pytest.mark.slow
DEVICES = 3
DOWNGRADE = 'namespaces="edgetl-downgrade@edgetl"'


class Hall(msgspec.Struct):
    """Servers with the device roots behind them, and the inventory that names them line-0 and so on."""

    inventory: Path
    servers: list[Sshd]

    def pointed(self) -> list[bool]:
        """Which devices have a release that would run."""
        return [DeviceRoot(server.root).pointed() is not None for server in self.servers]

    def numbers(self) -> list[int]:
        """The number of the release that each would run."""
        told = [edgetl("device", "status", f"local:{server.root}", "--json") for server in self.servers]
        facts = [json.loads(done.stdout) for done in told]
        return [fact["slots"][fact["current"]]["release"]["number"] for fact in facts]


@pytest.fixture
def hall(tmp_path: Path, keys: Keys) -> Iterator[Hall]:
    lines = ["all:", "  children:", "    hall:", "      hosts:"]
    servers = []
    with contextlib.ExitStack() as stack:
        for number in range(DEVICES):
            root = DeviceRoot(tmp_path / f"device-{number}")
            root.prepare()
            configure(root, signatures="required", trial_s=0.2)
            root.allowed_signers.write_text(keys.line("good") + keys.line("chief", DOWNGRADE))
            folder = tmp_path / f"ssh-{number}"
            folder.mkdir()
            server = stack.enter_context(serving(folder, root.path))
            servers.append(server)
            reached = {
                "ansible_host": "127.0.0.1", "ansible_port": server.port, "ansible_user": os.environ.get("USER", "root"),
                "ansible_ssh_private_key_file": str(folder / "user"),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={server.known} -o HostKeyAlias=device -o IdentitiesOnly=yes",
            }  # fmt: skip
            lines.append(f"        line-{number}: {json.dumps(reached)}")
        inventory = tmp_path / "inventory.yaml"
        inventory.write_text("\n".join(lines) + "\n")
        yield Hall(inventory, servers)


def test_each_is_reached_as_the_inventory_says_and_a_stranger_among_them_gets_nothing(
    hall: Hall, tmp_path: Path, keys: Keys
) -> None:
    release = keys.sign(tiny_release(tmp_path / "one.edgetl", "one"), "good", number=1)
    hall.servers[1].know("other_host")
    done = edgetl(
        "flash", release, "--to", "hall", "--inventory", hall.inventory, "--wave", 100, "--max-failed", 50, "--json"
    )
    assert done.returncode == 1
    told = json.loads(done.stdout)["hosts"]
    assert [host["state"] for host in told] == ["flashed", "failed", "flashed"], done.stderr
    assert told[1]["reason"].startswith("E_HOST_KEY: line-1: its host key CHANGED")
    assert hall.pointed() == [True, False, True]


def test_the_collection_brings_a_release_and_takes_it_back_with_the_key_for_that(
    hall: Hall, tmp_path: Path, keys: Keys
) -> None:
    collections = installed_in(tmp_path)
    one, two = (keys.sign(tiny_release(tmp_path / f"{n}.edgetl", f"r{n}"), "good", number=n) for n in (1, 2))

    def rollout(bundle: Path, **variables: object) -> tuple[int, str]:
        done = play("edgetl.devices.rollout", collections, hall.inventory, {"edgetl_bundle": str(bundle), **variables})
        return done.returncode, done.stdout

    assert rollout(two)[0] == 0
    assert hall.numbers() == [2] * DEVICES
    code, said = rollout(one, edgetl_allow_downgrade=True)
    assert code != 0 and "edgetl: E_" in said, "no permit, no way back"
    assert hall.numbers() == [2] * DEVICES
    code, said = rollout(one, edgetl_allow_downgrade=True, edgetl_downgrade_key=str(keys("chief")))
    assert code == 0, said
    assert hall.numbers() == [1] * DEVICES
