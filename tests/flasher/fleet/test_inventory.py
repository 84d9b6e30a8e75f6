"""The inventory is read as Ansible reads it, for what a small site writes into it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.flasher.fleet.inventory import chosen, ssh_options
from edgetl.flasher.transport import Local, Ssh
from tests.flasher.fleet.site import need_ansible

SITE = """
all:
  vars: {ansible_user: pi}
  children:
    hall_1:
      vars: {ansible_port: 2222}
      hosts:
        line-1: {ansible_host: 10.0.0.11}
        line-2: {ansible_host: 10.0.0.12, ansible_user: root}
    hall_2:
      hosts:
        line-3:
    both:
      children:
        hall_1:
        hall_2:
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(SITE)
    return path


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("all", "line-1 line-2 line-3"),
        ("hall_1", "line-1 line-2"),
        ("both", "line-1 line-2 line-3"),
        ("line-3", "line-3"),
    ],
)
def test_a_group_or_a_host_is_found(site: Path, name: str, hosts: str) -> None:
    assert sorted(device.name for device in chosen(site, name)) == hosts.split()


def test_it_is_what_ansible_itself_reads(site: Path) -> None:
    done = subprocess.run(
        [need_ansible("ansible-inventory"), "-i", str(site), "--list"], capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)["_meta"]["hostvars"]
    assert {device.name: device.variables for device in chosen(site, "all")} == theirs


def test_what_is_nearer_to_a_host_wins(site: Path) -> None:
    devices = {device.name: device.variables for device in chosen(site, "all")}
    assert devices["line-1"] == {"ansible_user": "pi", "ansible_port": 2222, "ansible_host": "10.0.0.11"}
    assert devices["line-2"]["ansible_user"] == "root"


def test_the_way_to_a_host_is_sshs(site: Path) -> None:
    options = ssh_options(chosen(site, "line-1")[0].variables)
    assert options == ["-o", "HostName=10.0.0.11", "-o", "Port=2222", "-o", "User=pi"]
    way = chosen(site, "line-1")[0].transport()
    assert isinstance(way, Ssh) and way.name == "line-1"


def test_a_folder_on_this_machine_may_stand_for_a_device(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(f"all:\n  hosts:\n    here: {{ansible_host: 'local:{tmp_path}'}}\n")
    assert isinstance(chosen(path, "here")[0].transport(), Local)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (SITE, "hall_9", "no group and no host 'hall_9'; its groups: all, both, hall_1, hall_2"),
        ("all:\n  children:\n    empty:\n", "empty", "has no hosts"),
        ("all:\n  hosts:\n    line-[1:3]:\n", "all", "ranges"),
        ("all: [1, 2]\n", "all", ":1"),
        ("all:\n\thosts:\n", "all", ":2: not valid YAML"),
    ],
)
def test_a_mistake_is_named(text: str, name: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as told:
        chosen(path, name)
    assert said in str(told.value)


def test_a_password_in_the_inventory_is_refused() -> None:
    with pytest.raises(UsageError, match="ssh-copy-id"):
        ssh_options({"ansible_password": "raspberry"})


def test_other_kinds_are_ansibles(tmp_path: Path) -> None:
    path = tmp_path / "hosts.ini"
    path.write_text("[hall]\nline-1 ansible_host=10.0.0.1\n")
    need_ansible("ansible-inventory")
    assert [device.name for device in chosen(path, "hall")] == ["line-1"]
