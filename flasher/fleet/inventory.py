"""Which devices there are, from the same inventory that Ansible reads.

A YAML inventory is read here: hosts, groups, and their variables, of which those that say how a host is reached count.
Any other kind (INI, a script, group_vars beside the file) is read by `ansible-inventory`, where it is installed.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edgetl.errors import UsageError
from edgetl.flasher.transport import LOCAL, Local, Ssh, Transport
from edgetl.runtime.config import read_record

Variables = dict[str, Any]


class Group(msgspec.Struct, frozen=True):
    """A group as the file has it; other keys are Ansible's and passed over."""

    hosts: dict[str, Variables | None] | None = None
    children: dict[str, Group | None] | None = None
    vars: Variables | None = None


class Device(msgspec.Struct, frozen=True):
    """A device by its name in the inventory, and the variables that count for it."""

    name: str
    variables: Variables

    def transport(self, agent: str = "edgetl", ssh_config: Path | None = None) -> Transport:
        """The way to it: its name, as OpenSSH knows it (by `ssh_config` or the user's own), and what the inventory adds."""
        if (address := str(self.variables.get("ansible_host", ""))).startswith(LOCAL):
            return Local(Path(address.removeprefix(LOCAL)).absolute())
        own = ["-F", str(ssh_config)] if ssh_config is not None else []
        return Ssh(self.name, agent, [*own, *ssh_options(self.variables)])


_OPTIONS = {
    "ansible_host": "HostName",
    "ansible_port": "Port",
    "ansible_ssh_port": "Port",
    "ansible_user": "User",
    "ansible_ssh_user": "User",
    "ansible_ssh_private_key_file": "IdentityFile",
    "ansible_private_key_file": "IdentityFile",
}


def ssh_options(variables: Variables) -> list[str]:
    """Ansible's variables as options of ssh(1). Passwords are not taken: there is nobody to type them."""
    for name in ("ansible_password", "ansible_ssh_pass"):
        if name in variables:
            raise UsageError(f"{name} in the inventory: devices are reached with keys; ssh-copy-id puts yours there")
    options: list[str] = []
    for name, option in _OPTIONS.items():
        if name in variables:
            options += ["-o", f"{option}={variables[name]}"]
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        options += shlex.split(str(variables.get(name, "")))
    return options


def chosen(path: Path, name: str) -> list[Device]:
    """The devices of a group, or the one device, that an inventory names. Raises UsageError."""
    hosts, groups = _read(path)
    if name in groups:
        if not groups[name]:
            raise UsageError(f"{path}: the group {name} has no hosts")
        return [Device(host, hosts[host]) for host in groups[name]]
    if name in hosts:
        return [Device(name, hosts[name])]
    known = ", ".join(sorted(group for group in groups if group != "ungrouped")) or "none"
    raise UsageError(f"{path}: no group and no host {name!r}; its groups: {known}")


def _read(path: Path) -> tuple[dict[str, Variables], dict[str, list[str]]]:
    if not path.exists():
        raise UsageError(f"{path}: no such inventory")
    beside = any((path.parent / folder).is_dir() for folder in ("group_vars", "host_vars"))
    if path.suffix not in (".yaml", ".yml", ".json") or beside:
        return _read_with_ansible(path)
    top = read_record(path.read_text(), dict[str, Group | None], str(path))
    hosts: dict[str, Variables] = {}
    groups: dict[str, list[str]] = {}
    for name, group in top.items():
        _gather(path, name, group or Group(), {}, hosts, groups)
    groups["all"] = list(hosts)
    return hosts, groups


def _gather(
    path: Path, name: str, group: Group, inherited: Variables, hosts: dict[str, Variables], groups: dict[str, list[str]]
) -> list[str]:
    """Adds a group's hosts, and those of the groups in it; what is nearer to a host wins."""
    shared = {**inherited, **(group.vars or {})}
    own = list(group.hosts or {})
    for host, variables in (group.hosts or {}).items():
        if re.search(r"\[.*:.*\]", host):
            raise UsageError(f"{path}: {host}: ranges are read by ansible-inventory only; write the hosts one by one")
        hosts[host] = {**hosts.get(host, {}), **shared, **(variables or {})}
    for child, content in (group.children or {}).items():
        own += _gather(path, child, content or Group(), shared, hosts, groups)
    groups[name] = list(dict.fromkeys([*groups.get(name, []), *own]))
    return groups[name]


def _read_with_ansible(path: Path) -> tuple[dict[str, Variables], dict[str, list[str]]]:
    # Where edgetl lies in an environment with Ansible, that need not be activated.
    program = shutil.which("ansible-inventory") or shutil.which(
        "ansible-inventory", path=str(Path(sys.executable).parent)
    )
    if program is None:
        raise UsageError(
            f"{path}: this kind of inventory is read by Ansible: pip install ansible-core, or write it as YAML"
        )
    done = subprocess.run([program, "--inventory", str(path), "--list"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UsageError(f"{path}: ansible-inventory: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    said: dict[str, Any] = msgspec.json.decode(done.stdout)
    variables = said.pop("_meta", {}).get("hostvars", {})
    groups = {name: list(_members(said, name)) for name in said}
    return {host: variables.get(host, {}) for host in groups.get("all", [])}, groups


def _members(said: dict[str, Any], name: str) -> Iterator[str]:
    group = said.get(name, {})
    yield from group.get("hosts", [])
    for child in group.get("children", []):
        yield from _members(said, child)
