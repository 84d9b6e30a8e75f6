"""What may sign, and what is refused before it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.flashing.signed_head import read_signed_head
from tests.cli.calling import call, refused
from tests.runtime import tiny
from tests.runtime.flashing.world import Keys, keygen


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "part.edgetl")


def test_signed_in_place_with_a_number_that_grows(bundle: Path, keys: Keys) -> None:
    answer = call("sign", bundle, "--key", keys("good"), "--device", "line-3", "--arch", "aarch64", "--json")
    assert answer.code == 0, answer.err
    with open_bundle(bundle) as opened:
        release = opened.manifest.release
        assert release is not None and (release.devices, release.architectures) == (("line-3",), ("aarch64",))
        assert 20250101000000 < release.number < 30000101000000
        with bundle.open("rb") as file:
            assert read_signed_head(file, "x").manifest == opened.manifest_bytes
    assert zipfile.ZipFile(bundle).namelist()[:2] == ["manifest.json", "signature"]


def test_same_release_is_signed_to_the_same_bytes(bundle: Path, keys: Keys, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert call("sign", bundle, "--key", keys("good"), "--number", 7, "--out", tmp_path / name).code == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.fault("S14")
def test_key_that_others_can_read_does_not_sign(bundle: Path, keys: Keys, tmp_path: Path) -> None:
    shutil.copy(keys("good"), tmp_path / "open")
    before = bundle.read_bytes()
    for mode in (0o644, 0o640, 0o604):
        (tmp_path / "open").chmod(mode)
        refused(call("sign", bundle, "--key", tmp_path / "open"), 1, "E_SIGNING", f"mode {mode:o}", "chmod 600")
    assert bundle.read_bytes() == before


@pytest.mark.fault("S14")
def test_locked_key_points_to_an_agent_which_must_hold_it(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = tmp_path / "locked"
    keygen("-q", "-t", "ed25519", "-N", "secret", "-f", key)
    quiet = {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}
    done = subprocess.run(
        ["setsid", "-w", sys.executable, "-m", "edgetl", "sign", str(bundle), "--key", str(key)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env=quiet, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the key is locked; unlock it in an agent" in done.stderr and "Traceback" not in done.stderr
    words = f"no agent holds the private half of this key; add it: ssh-add {key}"
    refused(call("sign", bundle, "--key", f"{key}.pub"), 1, "E_SIGNING", words)


def test_key_in_an_agent_signs_by_its_public_half(
    bundle: Path, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("needs ssh-agent: make system")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        while not socket.exists():
            assert agent.poll() is None
        subprocess.run(["ssh-add", "-q", str(keys("good"))], check=True)
        public = shutil.copy(f"{keys('good')}.pub", tmp_path / "good.pub")
        assert call("sign", bundle, "--key", public).code == 0
    finally:
        agent.terminate()
        agent.wait()
    with bundle.open("rb") as file:
        assert b"BEGIN SSH SIGNATURE" in read_signed_head(file, "x").signature


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--expires", "2030-02-31"], "not a date"), (["--key", "/no/key"], "no such key"), (["--key", "/dev/null"], "not a file")],
)  # fmt: skip
def test_wrong_use_of_sign(bundle: Path, keys: Keys, arguments: list[str], words: str) -> None:
    refused(call("sign", bundle, "--key", keys("good"), *arguments), 2, "E_USAGE", words)


def test_damaged_bundle_is_not_signed(bundle: Path, keys: Keys) -> None:
    os.truncate(bundle, 700)
    refused(call("sign", bundle, "--key", keys("good")), 1, "E_SIZE")
