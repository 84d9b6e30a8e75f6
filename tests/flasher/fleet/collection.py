"""This project's Ansible collection as Ansible finds it, and its programs called as a site calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.flasher.fleet.site import ROOT, need_ansible


def installed_in(folder: Path) -> Path:
    """A folder of collections with this one, as ansible-galaxy would put it there."""
    place = folder / "collections" / "ansible_collections" / "edgetl"
    place.mkdir(parents=True)
    (place / "devices").symlink_to(ROOT / "ansible")
    return folder / "collections"


def play(
    playbook: str, collections: Path, inventory: Path, variables: dict[str, object], *more: str,
    environment: dict[str, str] | None = None, timeout_s: float = 280,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Runs a playbook with these variables; the roles call this environment's edgetl."""
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_LOCALHOST_WARNING": "0",
                "ANSIBLE_HOME": str(collections / "home"), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}  # fmt: skip
    told = {"edgetl_command": str(Path(sys.executable).with_name("edgetl")), **variables}
    command = [need_ansible("ansible-playbook"), "-i", str(inventory), playbook, "-e", json.dumps(told), *more]
    return subprocess.run(
        command, env={**(environment or os.environ), **settings}, capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
