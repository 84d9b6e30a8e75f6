"""Who is flashing: two workstations of one name are two."""

from __future__ import annotations

import os
import subprocess

import pytest

from edgetl.flasher.owner import is_dead, this_machine, this_process

HERE = f"{os.uname().nodename}/{this_machine()}"


@pytest.fixture
def dead() -> int:
    """The number of a process that ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_process_of_this_machine(dead: int) -> None:
    assert this_process() == f"{os.getpid()}@{HERE}"
    assert not is_dead(this_process())
    assert is_dead(f"{dead}@{HERE}")


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    "where", [os.uname().nodename, f"{os.uname().nodename}/00000000", f"lab/{this_machine()}", "lab"]
)
def test_nothing_is_known_of_another_machine_whatever_its_name(dead: int, where: str) -> None:
    assert not is_dead(f"{dead}@{where}")


@pytest.mark.parametrize("owner", ["", "@", f"x@{HERE}", f"-1@{HERE}", "4711"])
def test_what_names_no_process_is_not_dead(owner: str) -> None:
    assert not is_dead(owner)
