"""Whatever is flashed, and however the flash is cut short: the line goes on giving verdicts, from a release that may."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.pulse import read_pulse
from edgetl.runtime.flashing.records import Committed, Returning
from edgetl.runtime.manifest import GOLDEN_NAME
from tests.cli.calling import call, refused
from tests.flasher.line import DEADLINE_S, LiveLine, eventually
from tests.flasher.sshd import CuttingProxy, Sshd, serving
from tests.runtime import tiny
from tests.runtime.flashing.world import Keys, announce, configure, keygen, tiny_release

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

PATIENT = {"signatures": "required", "stall_s": 20, "takeover_s": 60, "trial_s": 1.5, "defer_s": 10, "rehearsal_s": 20}

SINCE_2020 = 'namespaces="edgetl-bundle@edgetl",valid-after="20200101"'


class Site(NamedTuple):
    """A device whose line inspects, and what is flashed to it."""

    root: DeviceRoot
    line: LiveLine
    keys: Keys
    folder: Path

    def release(self, key: str = "good", number: int = 0, **told: Any) -> Path:
        """A signed release, newer than all before."""
        path = tiny_release(self.folder / f"{key}.edgetl", "new")
        return self.keys.sign(path, key, number=number or self.next_number(), **told)

    def harmed(self, change: Callable[[str, bytes], bytes | None]) -> Path:
        """A signed release whose members were changed before it was signed."""
        path = tiny_release(self.folder / "plain.edgetl", "new")
        return self.keys.sign(
            tiny.rewritten(path, self.folder / "harmed.edgetl", change), "good", number=self.next_number()
        )

    def running(self) -> str:
        """The SHA-256 of the release that the line runs."""
        pulse = read_pulse(self.root)
        assert pulse is not None and pulse.sha256 is not None
        return pulse.sha256

    def next_number(self) -> int:
        """Higher than all before."""
        counter = self.folder / "number"
        number = int(counter.read_text()) + 1 if counter.exists() else 100
        counter.write_text(str(number))
        return number


@pytest.fixture(scope="module")
def site(keys: Keys) -> Iterator[Site]:
    """A line that runs release 10, signed."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        root, folder = DeviceRoot(Path(place) / "device"), Path(place) / "desk"
        folder.mkdir()
        root.prepare()
        configure(root, **PATIENT)
        root.allowed_signers.write_text(keys.line("good") + keys.line("revoked") + keys.line("since-2020", SINCE_2020))
        keygen("-k", "-f", root.revoked, f"{keys('revoked')}.pub")
        found = Site(root, LiveLine(root, folder), keys, folder)
        first = call("flash", found.release(number=10), "--to", f"local:{root.path}")
        assert first.code == 0, first.err
        found.line.start()
        try:
            yield found
        finally:
            found.line.stop()


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Sshd]:
    """An SSH server that leads to the line's device."""
    folder = site.folder / "ssh"
    folder.mkdir()
    with serving(folder, site.root.path) as found:
        yield found


@pytest.fixture
def plain(server: Sshd, site: Site) -> Iterator[Sshd]:
    """The server, which is put back to how it was afterwards."""
    script = server.agent.read_text()
    yield server
    server.agent.write_text(script)
    server.know("host")
    server.configure(server.port)
    configure(site.root, **PATIENT)


def at_step(server: Sshd, step: str, before: str = "", environment: str = "") -> Path:
    """Has the device note when a step is asked for, and treat its input or its environment in some way."""
    marker = server.folder / f"at-{step}"
    marker.unlink(missing_ok=True)
    program = f'{environment} {sys.executable} -m edgetl "$@" --root {server.root}'
    server.agent.write_text(
        f'#!/bin/sh\nif [ "$2" = {step} ]; then touch {marker}; {before} {program}; else exec {program}; fi\n'
    )
    return marker


def unscathed(site: Site, flash: Callable[[], None]) -> None:
    """Asserts that the line's process, its release and its slots outlive a flash that is refused."""
    old, process = site.running(), read_pulse(site.root)
    held = site.root.bundle("a").read_bytes(), site.root.pointed()
    flash()
    site.line.judges_with(old)
    pulse = read_pulse(site.root)
    assert process is not None and pulse is not None and pulse.pid == process.pid
    assert (site.root.bundle("a").read_bytes(), site.root.pointed()) == held
    assert list(site.root.staging.iterdir()) == []


def cut_file(site: Site) -> Path:
    path = site.release()
    path.write_bytes(path.read_bytes()[:-100])
    return path


def flipped_file(site: Site) -> Path:
    path = site.release()
    data = bytearray(path.read_bytes())
    data[data.index(b"TFL3") + 20] ^= 1
    path.write_bytes(data)
    return path


def other_answers(name: str, data: bytes) -> bytes:
    if name != GOLDEN_NAME:
        return data
    golden: Any = msgspec.json.decode(data)
    for picture in golden["pictures"]:
        picture["models"]["model/int8.tflite"].update(label="blue", verdict="NG")
    return msgspec.json.encode(golden)


def with_model(model: bytes) -> Callable[[str, bytes], bytes]:
    return lambda name, data: model if name == "model/int8.tflite" else data


BAD: dict[str, tuple[Callable[[Site], Path], str, str]] = {
    "architecture": (lambda s: s.release(architectures=("m68k",)), "E_TARGET", "new is for m68k"),
    "unsigned": (lambda s: tiny_release(s.folder / "x.edgetl", "new", 900), "E_UNSIGNED", "no signature"),
    "wrong-key": (lambda s: s.release("stranger"), "E_SIGNER", "not among the device's allowed signers"),
    "revoked-key": (lambda s: s.release("revoked"), "E_REVOKED", "the key of revoked@plant was revoked"),
    "truncated": (cut_file, "E_SIZE", "cut short"),
    "bit-flipped": (flipped_file, "E_HASH", "model/int8.tflite"),
    "older": (lambda s: s.release(number=9), "E_ROLLBACK", "release 9, older than"),
    "same-number": (lambda s: s.release(number=10, min_edgetl="0.0.1"), "E_ROLLBACK", "release 10"),
    "golden-set": (lambda s: s.harmed(other_answers), "E_HEALTH", "golden/000.png: NG blue is now NG red"),
    "crashes": (lambda s: s.harmed(with_model(tiny.crashing())), "E_HEALTH", "crashed: SIGSEGV"),
    "no-model": (lambda s: s.harmed(with_model(b"TFL3")), "E_MODEL", "model/int8.tflite"),
}


@pytest.mark.fault("F8", "F10", "F18", "S1", "S2", "S3", "S4", "S8")
@pytest.mark.parametrize("bad", BAD)
def test_bad_release(site: Site, bad: str) -> None:
    make, code, words = BAD[bad]
    path = make(site)
    unscathed(site, lambda: refused(call("flash", path, "--to", f"local:{site.root.path}"), 1, code, words))


@pytest.mark.fault("F9")
def test_model_that_hangs(site: Site, plain: Sshd) -> None:
    configure(site.root, **{**PATIENT, "rehearsal_s": 4})
    path = site.harmed(with_model(tiny.hanging()))
    words = "gave no answer within 4 s and was killed"
    unscathed(site, lambda: refused(call("flash", path, "--to", "device", *plain.options), 1, "E_HEALTH", words))


@pytest.mark.fault("F11")
def test_model_that_is_too_slow(site: Site, plain: Sshd) -> None:
    configure(site.root, "budget: {latency_ms: 0.001}\n", **PATIENT)
    path = site.release()
    unscathed(site, lambda: refused(call("flash", path, "--to", "device", *plain.options), 1, "E_HEALTH", "too slow: "))


@pytest.mark.fault("F3", "F5")
@pytest.mark.parametrize(
    ("before", "code", "words"),
    [
        ("{ cat; cat /dev/zero; } |", "E_SIZE", "longer than the"),
        ("LC_ALL=C sed s/TFL3/TFL4/ |", "E_HASH", "arrived altered"),
        ("head -c 300 |", "E_UPLOAD", "broke off 5 times"),
    ],
    ids=["endless", "altered", "cut"],
)
def test_upload_that_goes_wrong(site: Site, plain: Sshd, before: str, code: str, words: str) -> None:
    at_step(plain, "receive", before)
    path = site.release()

    def flash() -> None:
        refused(call("flash", path, "--to", "device", *plain.options), 1, code, words)
        for part in site.root.staging.iterdir():  # what arrived waits for the next try
            assert code == "E_UPLOAD"
            part.unlink()

    unscathed(site, flash)


@pytest.mark.fault("F23")
def test_host_key_that_changed(site: Site, plain: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # there is no connection yet that could be shared
    plain.know("other_host")
    path = site.release()
    unscathed(site, lambda: refused(call("flash", path, "--to", "device", *plain.options), 1, "E_HOST_KEY", "CHANGED"))


@pytest.mark.fault("T2")
def test_clock_that_is_years_ahead(site: Site, plain: Sshd) -> None:
    refused_by_a_clock(site, plain, 30, "was to be used until 2040-01-01; it is 20")


@pytest.mark.fault("T2")
def test_clock_that_is_years_behind(site: Site, plain: Sshd) -> None:
    refused_by_a_clock(site, plain, -25, "the signing key is not yet valid")


def refused_by_a_clock(site: Site, plain: Sshd, years: int, words: str) -> None:
    """Announces a release to a device whose clock, as it believes set right, is so many years ahead."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = site.folder / "skewed.so"
    source = Path(__file__).parent / "skewed_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    at_step(plain, "begin", environment=f"env LD_PRELOAD={library} SKEW_YEARS={years}")
    path = site.release("since-2020", expires="2040-01-01")
    unscathed(site, lambda: refused(call("flash", path, "--to", "device", *plain.options), 1, "E_EXPIRED", words))


class Running(NamedTuple):
    """A command that runs beside the test."""

    process: subprocess.Popen[str]

    @classmethod
    def of(cls, *arguments: object) -> Running:
        """Starts edgetl."""
        command = [sys.executable, "-m", "edgetl", *map(str, arguments)]
        return cls(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def end(self) -> tuple[int, str, str]:
        """Waits for it: exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=2 * DEADLINE_S)
        assert "Traceback" not in err
        return self.process.returncode, out, err


@pytest.fixture
def proxy(plain: Sshd) -> Iterator[CuttingProxy]:
    found = CuttingProxy(plain.port, [])
    plain.configure(found.port)
    yield found
    found.close()


@pytest.mark.fault("F3")
@pytest.mark.parametrize("step", ["status", "begin", "receive", "rehearse", "activate"])
def test_network_that_is_cut_at_a_step(site: Site, plain: Sshd, proxy: CuttingProxy, step: str) -> None:
    """The device goes on, the workstation comes back and hears how it ended: one flash, and no error."""
    path = site.release()
    new, commits = announce(path).sha256, noted(site, Committed)
    marker = at_step(plain, step)
    flash = Running.of("flash", path, "--to", "device", *plain.options, "--json")
    eventually(marker.exists, "the step is asked for")
    proxy.cut()
    code, out, err = flash.end()
    assert code == 0, err
    assert proxy.broken > 0 and json.loads(out)["sha256"] == new
    site.line.judges_with(new)
    assert noted(site, Committed) == commits + 1


@pytest.mark.fault("F3")
def test_network_that_is_cut_during_the_trial(site: Site, plain: Sshd, proxy: CuttingProxy) -> None:
    path, pointed, commits = site.release(), site.root.pointed(), noted(site, Committed)
    flash = Running.of("flash", path, "--to", "device", *plain.options, "--json", "--trial", "4")
    eventually(lambda: site.root.pointed() != pointed, "it is swapped")
    proxy.cut()
    code, out, err = flash.end()
    assert code == 0, err
    assert proxy.broken > 0 and json.loads(out)["reason"]
    site.line.judges_with(announce(path).sha256)
    assert noted(site, Committed) == commits + 1


@pytest.mark.fault("F3", "F14")
@pytest.mark.parametrize("when", ["before", "after"])
def test_network_that_is_cut_during_a_rollback(site: Site, plain: Sshd, proxy: CuttingProxy, when: str) -> None:
    """A second one would undo the first."""
    call("flash", site.release(), "--to", f"local:{site.root.path}")
    returns, pointed = noted(site, Returning), site.root.pointed()
    marker = at_step(plain, "rollback")
    rollback = Running.of("rollback", "device", *plain.options, "--json")
    eventually(marker.exists if when == "before" else lambda: site.root.pointed() != pointed, "it is on its way")
    proxy.cut()
    code, out, err = rollback.end()
    assert code == 0, err
    assert proxy.broken > 0 and noted(site, Returning) == returns + 1 and site.root.pointed() != pointed
    site.line.judges_with(json.loads(out)["sha256"])


@pytest.mark.fault("F3", "F9")
def test_network_that_is_cut_while_the_device_refuses(site: Site, plain: Sshd, proxy: CuttingProxy) -> None:
    """Its reason is heard afterwards, and not that the release is no longer there."""
    configure(site.root, **{**PATIENT, "rehearsal_s": 6})
    marker = at_step(plain, "rehearse")
    old, path = site.running(), site.harmed(with_model(tiny.hanging()))
    flash = Running.of("flash", path, "--to", "device", *plain.options)
    eventually(marker.exists, "the step is asked for")
    time.sleep(1.0)
    proxy.cut()
    code, _, err = flash.end()
    assert (code, proxy.broken > 0) == (1, True)
    assert "E_HEALTH" in err and "gave no answer within 6 s and was killed" in err
    site.line.judges_with(old)


def noted(site: Site, kind: type[object]) -> int:
    return sum(isinstance(entry, kind) for entry in Journal(site.root.journal).entries())


@pytest.mark.fault("F16")
def test_two_flashes_at_once(site: Site) -> None:
    """Two live processes: one is told who is at work, and the line ends with the other's release."""
    paths = [site.release("good"), site.release("good")]
    flashes = [Running.of("flash", path, "--to", f"local:{site.root.path}") for path in paths]
    ends = [flash.end() for flash in flashes]
    assert sorted(code for code, _, _ in ends) == [0, 1]
    winner = [code for code, _, _ in ends].index(0)
    other = ends[1 - winner][2]
    assert f"E_BUSY: local:{site.root.path}: busy by {flashes[winner].process.pid}@" in other, other
    site.line.judges_with(announce(paths[winner]).sha256)


@pytest.mark.fault("F4")
def test_workstation_that_is_killed(site: Site, plain: Sshd) -> None:
    """Its upload ends where it was; the next flash goes on at once, since the first one's process is dead."""
    old = site.running()
    files = {**tiny.content(), "extra.bin": os.urandom(6_000_000)}
    plain_release = tiny.write(site.folder / "heavy.edgetl", files, manifest=tiny.manifest_of(files, name="heavy"))
    path = site.keys.sign(plain_release, "good", number=site.next_number())
    size, sha256 = path.stat().st_size, announce(path).sha256
    marker = at_step(plain, "receive", "{ head -c 300000; sleep 3; cat; } |")
    flash = Running.of("flash", path, "--to", "device", *plain.options)
    eventually(marker.exists, "the upload runs")
    part = site.root.staging / f"{sha256}.part"
    eventually(lambda: part.exists() and part.stat().st_size > 0, "a part is there")
    flash.process.kill()
    flash.process.communicate()
    site.line.judges_with(old)
    at_step(plain, "none")
    again = Running.of("flash", path, "--to", "device", *plain.options, "--json").end()
    assert again[0] == 0, again[2]
    assert 0 < json.loads(again[1])["sent"] < size
    site.line.judges_with(sha256)
    assert site.root.bundle(site.root.pointed() or "a").read_bytes() == path.read_bytes()


@pytest.mark.fault("F21")
def test_camera_that_is_lost_with_the_new_release(tmp_path: Path) -> None:
    """It gave frames before; with the new release it gives none, so that one is taken back."""
    root = DeviceRoot(tmp_path / "device")
    root.prepare()
    configure(root, **{**PATIENT, "signatures": "off", "takeover_s": 8, "stall_s": 4})
    port = free_port()
    camera = [sys.executable, "-m", "edgetl.benchmarks.mjpeg_camera", str(port), "20"]
    shown = subprocess.Popen(camera, stdout=subprocess.PIPE)
    line = LiveLine(root, tmp_path, f"http://127.0.0.1:{port}/")
    old, new = (tiny_release(tmp_path / f"{n}.edgetl", f"r{n}", n) for n in (1, 2))
    try:
        assert shown.stdout is not None and shown.stdout.readline()
        assert call("flash", old, "--to", f"local:{root.path}").code == 0
        line.start()
        flash = Running.of("flash", new, "--to", f"local:{root.path}")
        eventually(lambda: root.pointed() == "b", "it is swapped")
        shown.kill()
        shown.wait()
        code, _, err = flash.end()
        assert code == 1 and "E_HEALTH" in err and "failed its trial" in err, err
        assert root.pointed() == "a"
        shown = subprocess.Popen(camera, stdout=subprocess.PIPE)
        line.judges_with(announce(old).sha256)
    finally:
        line.stop()
        shown.kill()
        shown.wait()
