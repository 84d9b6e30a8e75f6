"""Files travel as a tar archive that any tar unpacks; a step that fails says which, and why."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from edgetl.errors import ProvisionError
from edgetl.flasher.provision.changes import Change
from edgetl.flasher.provision.remote import archive, ask, carry_out
from edgetl.flasher.transport import Completed
from tests.flasher.provision.devices import wheel_file


class ThisShell:
    """The shell of this machine, asked as a device's would be over SSH."""

    name = "here"

    def execute(self, command: str, content: Iterable[bytes] = (), timeout_s: float = 60.0) -> Completed:
        done = subprocess.run(
            ["sh", "-c", command], input=b"".join(content), capture_output=True, timeout=timeout_s, check=False
        )
        return Completed(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_wheels_arrive_byte_for_byte(tmp_path: Path) -> None:
    wheels = [wheel_file(tmp_path, name, size) for name, size in (("a", 0), ("b", 512), ("c", 1000), ("d", 3 << 20))]
    there = tmp_path / "there"
    there.mkdir()
    change = Change("wheels", f"tar -x -f - -C '{there}'", wheels=tuple(wheels))
    carry_out(ThisShell(), change, as_root=True)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        Path(wheel.path).name: Path(wheel.path).read_bytes() for wheel in wheels
    }


def test_an_empty_archive_is_one() -> None:
    assert len(b"".join(archive([]))) == 1024


def test_a_step_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(ProvisionError, match=r"here: slots: no room; mend it and run the command again"):
        carry_out(ThisShell(), Change("slots", "echo starting; echo no room >&2; exit 1"), as_root=True)


def test_what_pip_calls_an_error_is_the_reason() -> None:
    script = "echo 'ERROR: No matching distribution' >&2; echo 'notice: new pip' >&2; exit 1"
    with pytest.raises(ProvisionError, match="No matching distribution"):
        carry_out(ThisShell(), Change("environment", script), as_root=True)


def test_a_device_that_cannot_be_looked_at_says_why() -> None:
    with pytest.raises(ProvisionError, match="cannot look at it: oops"):
        ask(ThisShell(), "echo oops >&2; exit 3")
