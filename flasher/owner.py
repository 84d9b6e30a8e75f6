"""Who is flashing: this process, by a name that another workstation can look for and none other bears."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")


def this_process() -> str:
    """PID@HOST/MARK."""
    return f"{os.getpid()}@{os.uname().nodename}/{this_machine()}"


def this_machine() -> str:
    """A mark of this machine since it started, which no other machine of the same name bears; nor does a container,
    which counts its processes for itself."""
    said = f"edgetl {_BOOT_ID.read_text().strip()} {os.readlink(_PROCESSES)}"  # noqa: PTH115 - it links to no path
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def is_dead(owner: str) -> bool:
    """Whether an owner was a process of this machine that is no more; of other machines nothing is known."""
    pid, _, where = owner.partition("@")
    if where != f"{os.uname().nodename}/{this_machine()}" or not pid.isdecimal():
        return False
    return not Path(f"/proc/{pid}").exists()
