"""The ways to a device are OpenSSH's: through a jump host, and with a key that only an agent holds."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetl.runtime.flashing.layout import DeviceRoot
from tests.cli.calling import call, refused
from tests.flasher.sshd import Sshd, serving

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
def jump(server: Sshd, tmp_path: Path) -> Iterator[Sshd]:
    """A second server, which the first is only reached through."""
    folder = tmp_path / "jump"
    folder.mkdir()
    with serving(folder, tmp_path / "nothing") as found:
        server.configure(server.port, " ProxyJump jump\n")
        others = found.config.read_text().replace("Host device", "Host jump")
        server.config.write_text(server.config.read_text() + others)
        yield found


def test_through_a_jump_host(device: DeviceRoot, server: Sshd, jump: Sshd, release: Path) -> None:
    jump.stop()
    refused(call("device", "status", "device", *server.options), 1, "E_TRANSPORT", "device: ")
    jump.start()
    passes_on = f'restrict,port-forwarding,permitopen="127.0.0.1:{server.port}",command="/bin/false" '
    (jump.folder / "authorized").write_text(passes_on + (jump.folder / "user.pub").read_text())
    answer = call("flash", release, "--to", "device", *server.options)
    assert answer.code == 0, answer.err
    assert device.pointed() == "a"


@pytest.fixture
def agent(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The socket of an agent that holds the user's key, of which only the public half is left on the disk."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("needs openssh-client: make system")
    folder = Path(tempfile.mkdtemp(prefix="edgetl-"))  # short: a socket's path has at most 107 bytes
    socket = str(folder / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        while not Path(socket).exists() and process.poll() is None:
            time.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        subprocess.run(["ssh-add", "-q", str(server.folder / "user")], check=True)
        (server.folder / "user").unlink()
        yield socket
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def test_with_a_key_that_an_agent_holds(device: DeviceRoot, server: Sshd, agent: str, release: Path) -> None:
    answer = call("flash", release, "--to", "device", *server.options)
    assert answer.code == 0, answer.err
    assert device.pointed() == "a"


def test_without_the_agent_there_is_no_way_in(
    device: DeviceRoot, server: Sshd, agent: str, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK")
    refused(
        call("flash", release, "--to", "device", *server.options), 1, "E_TRANSPORT", "device: ", "Permission denied"
    )
    assert device.pointed() is None
