"""`edgetl flash` over a real SSH server: it arrives whole through broken connections, and nothing goes to a stranger."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from edgetl.flasher.owner import this_machine
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.lease import holding
from tests.cli.calling import Answer, call, refused
from tests.flasher.sshd import CuttingProxy, Sshd
from tests.runtime import tiny
from tests.runtime.flashing.world import Keys, announce, configure, tiny_release

# Flashing starts a few processes at each step; a busy machine takes its time.
pytestmark = pytest.mark.timeout(280)


def heavy_release(path: Path, size: int, number: int = 5) -> Path:
    """A release with a member of that many random bytes."""
    files = {**tiny.content(), "extra.bin": os.urandom(size)}
    return tiny.write(path, files, manifest=tiny.manifest_of(files, name="heavy", release={"number": number}))


def flash(path: Path, server: Sshd, *more: object) -> Answer:
    return call("flash", path, "--to", "device", *server.options, "--json", *more)


def test_flash_status_and_rollback(device: DeviceRoot, server: Sshd, tmp_path: Path, keys: Keys) -> None:
    configure(device, signatures="required")
    device.allowed_signers.write_text(keys.line("good"))
    first, second = (keys.sign(tiny_release(tmp_path / f"{n}.edgetl", f"r{n}"), "good", number=n) for n in (1, 2))
    for number, path in enumerate((first, second), 1):
        answer = flash(path, server)
        assert answer.code == 0, answer.err
        told = json.loads(answer.out)
        assert (told["name"], told["number"], told["changed"]) == (f"r{number}", number, True)
        assert told["sent"] == path.stat().st_size
        assert told["rehearsal"]["latency_ms"]["p90_ms"] > 0
    assert json.loads(flash(second, server).out)["changed"] is False
    refused(flash(first, server), 1, "E_ROLLBACK", "device: ", "release 1, older than r2 (2)")
    answer = call("device", "status", "device", *server.options)
    assert "* slot b: r2, release 2" in answer.out and "  slot a: r1, release 1" in answer.out
    answer = call("rollback", "device", *server.options)
    assert answer.out == "device: runs r1, release 1, again\n", answer.err
    assert device.pointed() == "a"


def test_one_class_bundle_is_flashed_and_judges_there_like_any_other(
    device: DeviceRoot, server: Sshd, tmp_path: Path, keys: Keys, good_bundle: Path, good_parts: Path
) -> None:
    configure(device, signatures="required")
    device.allowed_signers.write_text(keys.line("good"))
    path = tmp_path / "parts.edgetl"
    shutil.copy(good_bundle, path)
    answer = flash(keys.sign(path, "good", number=1), server)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["rehearsal"]["latency_ms"]["p90_ms"] > 0
    slot = device.pointed()
    assert slot is not None
    for folder, wanted in (("good", "OK"), ("scratched", "NG")):
        done = call("run", device.bundle(slot), "--source", good_parts / "test" / folder, "--json")
        verdicts = [v["verdict"] for line in done.out.splitlines() if "verdict" in (v := json.loads(line))]
        assert verdicts.count(wanted) >= 0.8 * len(verdicts) > 0, done


@pytest.mark.fault("F3")
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_connection_lost_during_the_upload(device: DeviceRoot, server: Sshd, tmp_path: Path, share: float) -> None:
    """The handshake and the announcement are some 20 KB of the bytes; the cut then falls at that share of the file."""
    size = 10_000_000
    path = heavy_release(tmp_path / "heavy.edgetl", size)
    proxy = CuttingProxy(server.port, [25_000 + int(share * size)])
    try:
        server.configure(proxy.port)
        answer = flash(path, server)
    finally:
        proxy.close()
    assert proxy.broken == 1
    assert answer.code == 0, answer.err
    assert device.bundle("a").read_bytes() == path.read_bytes()
    assert list(device.staging.iterdir()) == []
    offsets = [int(found) for found in re.findall(r"from byte (\d+) on", answer.err)]
    assert len(offsets) == 1 and 0.5 * share * size < offsets[0] <= share * size, "it went on where it stopped"
    assert json.loads(answer.out)["sent"] <= 2 * path.stat().st_size - offsets[0]


@pytest.mark.fault("F5")
def test_other_bytes_that_lie_there_already_are_not_gone_on_with(
    device: DeviceRoot, server: Sshd, release: Path
) -> None:
    """As of another bundle, or damaged: what is there is compared first, and the upload begins anew."""
    part = device.staging / f"{announce(release).sha256}.part"
    part.write_bytes(os.urandom(2000))
    answer = flash(release, server)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["sent"] == release.stat().st_size and "from byte" not in answer.err
    assert device.bundle("a").read_bytes() == release.read_bytes()


@pytest.mark.fault("F5")
def test_upload_that_arrives_altered_is_sent_once_more_from_the_start(
    device: DeviceRoot, server: Sshd, release: Path
) -> None:
    """The first time only; one that is altered again ends the flash (test_line_survives)."""
    program, first = f'{sys.executable} -m edgetl "$@" --root {server.root}', server.folder / "first"
    server.agent.write_text(
        f'#!/bin/sh\nif [ "$2" = receive ] && [ ! -e {first} ]; then\n'
        f"touch {first}; LC_ALL=C sed s/TFL3/TFL4/ | {program}\nelse exec {program}; fi\n"
    )
    answer = flash(release, server)
    assert answer.code == 0, answer.err
    assert first.exists() and json.loads(answer.out)["sent"] == 2 * release.stat().st_size
    assert device.bundle("a").read_bytes() == release.read_bytes()


def test_connection_that_never_holds_ends_with_a_reason(device: DeviceRoot, server: Sshd, tmp_path: Path) -> None:
    path = heavy_release(tmp_path / "heavy.edgetl", 1_000_000)
    proxy = CuttingProxy(server.port, [1000] * 50)
    try:
        server.configure(proxy.port)
        refused(flash(path, server), 1, "E_TRANSPORT", "device: ")
    finally:
        proxy.close()
    assert device.pointed() is None


@pytest.mark.fault("F23")
@pytest.mark.parametrize("lax", ["", " StrictHostKeyChecking no\n"])
def test_changed_host_key_is_a_hard_stop(device: DeviceRoot, server: Sshd, release: Path, lax: str) -> None:
    """Even where the user's configuration would let it pass; and the device hears nothing."""
    server.know("other_host")
    server.configure(server.port, lax)
    refused(flash(release, server), 1, "E_HOST_KEY", "its host key CHANGED", "nothing was sent", "ssh-keygen -R")
    assert list(device.staging.iterdir()) == [] and not device.journal.exists()


@pytest.mark.fault("F23")
def test_unknown_host_key_is_not_asked_for(device: DeviceRoot, server: Sshd, release: Path) -> None:
    server.known.write_text("")
    refused(flash(release, server), 1, "E_HOST_KEY", "its host key is not known", "connect once: ssh device")


def test_nobody_there_and_no_edgetl_there(server: Sshd, release: Path) -> None:
    refused(call("flash", release, "--to", "device", "--ssh-config", server.config, "--agent", "/no/edgetl"),
            1, "E_TRANSPORT", "no /no/edgetl there", "edgetl device init")  # fmt: skip
    refused(call("flash", release, "--to", "-oProxyCommand=x"), 2, "E_USAGE", "not a host")


@pytest.mark.fault("F20")
@pytest.mark.parametrize(
    ("protocols", "words"),
    [("0,0", "update the device (edgetl device init)"), ("2,3", "update this workstation (pip install -U edgetl)")],
)
def test_device_one_protocol_apart_is_refused_clearly(
    device: DeviceRoot, server: Sshd, release: Path, protocols: str, words: str
) -> None:
    script = server.agent.read_text().replace("exec ", "") + ""
    server.agent.write_text(script.rstrip() + f' | sed \'s/"protocols":.1,1./"protocols":[{protocols}]/\'\n')
    refused(flash(release, server), 1, "E_PROTOCOL", words)
    assert not device.journal.exists()


@pytest.mark.fault("F20")
def test_device_that_speaks_a_later_protocol_too_is_spoken_to_in_ours(
    device: DeviceRoot, server: Sshd, release: Path
) -> None:
    script = server.agent.read_text().replace("exec ", "")
    server.agent.write_text(script.rstrip() + ' | sed \'s/"protocols":.1,1./"protocols":[1,2]/\'\n')
    assert flash(release, server).code == 0
    assert device.pointed() == "a"


@pytest.mark.fault("F20")
def test_edgetl_from_before_flashing_is_told_apart(server: Sshd, release: Path) -> None:
    server.agent.write_text("#!/bin/sh\necho \"Error: No such command 'slot'.\" >&2\nexit 2\n")
    refused(flash(release, server), 1, "E_PROTOCOL", "too old to be flashed", "edgetl device init")


@pytest.mark.fault("F16")
def test_second_flash_is_told_who_is_at_work(device: DeviceRoot, server: Sshd, release: Path) -> None:
    with holding(device, "4711@lab", SystemClock(), 60.0):
        refused(flash(release, server), 1, "E_BUSY", "busy by 4711@lab since")
    refused(flash(release, server), 1, "E_BUSY", "busy by 4711@lab since")
    assert device.pointed() is None


@pytest.mark.fault("F16")
def test_flash_after_one_that_died_on_this_workstation_goes_on(device: DeviceRoot, server: Sshd, release: Path) -> None:
    dead = f"{2**22 - 1}@{os.uname().nodename}/{this_machine()}"
    with holding(device, dead, SystemClock(), 600.0):
        pass
    assert flash(release, server).code == 0


@pytest.mark.fault("F16")
def test_flash_of_another_workstation_of_this_name_is_left_alone(
    device: DeviceRoot, server: Sshd, release: Path
) -> None:
    """No such process runs here, but that is another machine's number."""
    other = f"{2**22 - 1}@{os.uname().nodename}/0f0f0f0f"
    with holding(device, other, SystemClock(), 600.0):
        pass
    refused(flash(release, server), 1, "E_BUSY", f"busy by {other} since")


def test_release_that_fails_there_says_why_here(device: DeviceRoot, server: Sshd, tmp_path: Path) -> None:
    path = tiny.rewritten(
        tiny_release(tmp_path / "x.edgetl"), tmp_path / "y.edgetl",
        lambda name, data: tiny.crashing() if name == "model/int8.tflite" else data,
    )  # fmt: skip
    refused(flash(path, server), 1, "E_HEALTH", "device: plain: the child that loaded the new model crashed: SIGSEGV")
    last = Journal(device.journal).history().last
    assert last is not None and last.what == "refused (E_HEALTH)"
    assert "refused (E_HEALTH)" in call("device", "status", "device", *server.options).out


def test_damaged_bundle_never_leaves_the_workstation(device: DeviceRoot, server: Sshd, release: Path) -> None:
    shutil.copyfile(release, release.with_name("cut.edgetl"))
    os.truncate(release.with_name("cut.edgetl"), 900)
    refused(flash(release.with_name("cut.edgetl"), server), 1, "E_SIZE")
    assert not device.journal.exists()


def test_status_speaks_to_machines(device: DeviceRoot, server: Sshd) -> None:
    told = json.loads(call("device", "status", "device", *server.options, "--json").out)
    assert told["protocols"] == [1, 1] and told["current"] is None
    assert msgspec.json.decode(device.config.read_bytes().splitlines()[1].partition(b": ")[2])["signatures"] == "off"
