"""An emulated arm64 computer: its own kernel, ext4 disk, camera (vivid) and pins (PL061), and a plug to pull.

machine = Machine(folder); machine.start()   # some seconds, from a snapshot of the booted system
machine.cut_power()                          # the emulator is killed: what was not synced is gone
machine.start()                              # boots the same disk cold, which replays its journal
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgetl.benchmarks.ports import free_port
from tests.emulation import kernel as kernel_module
from tests.emulation import layers as layers_module
from tests.emulation.kernel import kernel
from tests.emulation.layers import prepared_layer, ssh
from tests.emulation.rootfs import root_filesystem
from tests.emulation.store import built, fingerprint

SNAPSHOT = "booted"
MEMORY_MB = 1024  # as the smallest board that is meant for this: a Raspberry Pi 3B+
_DISK = "3G"


def base_image() -> Path:
    """A folder with `disk.qcow2`, prepared, booted once and holding a snapshot of that. Use copies."""
    key = fingerprint(
        sys.modules[__name__], kernel_module, layers_module, root_filesystem().name, prepared_layer().name
    )
    return built("machine", key, _build)


def _build(folder: Path) -> None:
    tree = folder / "tree"
    # Hard links: the tree is only read, by mke2fs.
    for source, place in ((root_filesystem() / "root", ""), (prepared_layer(), ""), (kernel() / "lib", "usr/lib")):
        subprocess.run(["cp", "-al", "--remove-destination", f"{source}/.", str(tree / place)], check=True)
    raw = folder / "disk.raw"
    subprocess.run(["truncate", "-s", _DISK, str(raw)], check=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(tree), str(raw)], check=True)
    shutil.rmtree(tree)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(folder / "disk.qcow2")], check=True)
    raw.unlink()
    machine = Machine(folder, base=None)
    try:
        machine.start(timeout_s=1500)  # half a minute on a machine with nothing else to do
        machine.monitor(f"savevm {SNAPSHOT}")
    finally:
        machine.cut_power()


class Machine:
    """One emulated computer with a disk of its own in `folder`."""

    def __init__(self, folder: Path, base: Path | None = None, *, fresh: bool = True) -> None:
        """`fresh`: a copy of the base image and its snapshot; else the disk that lies in `folder`."""
        self.folder = folder
        self.disk = folder / "disk.qcow2"
        self.key = root_filesystem() / "id"
        self.port = free_port()
        self._layer, self._layers = self.disk, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._snapshot: str | None = None
        if base is not None and fresh:
            subprocess.run(["cp", "--sparse=always", str(base / "disk.qcow2"), str(self.disk)], check=True)
            self._snapshot = SNAPSHOT

    def start(self, timeout_s: float = 400) -> None:
        """Switches it on and waits for its SSH server: from the snapshot the first time, later cold."""
        boot = kernel()
        arguments = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", str(MEMORY_MB),
            "-accel", "tcg,thread=multi", "-kernel", str(boot / "vmlinuz"), "-initrd", str(boot / "initrd"),
            "-append", "console=ttyAMA0 quiet net.ifnames=0", "-drive", f"if=none,id=d0,file={self._layer},format=qcow2",
            "-device", "virtio-blk-pci,drive=d0",
            "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=n0",
            "-device", "virtio-rng-pci", "-display", "none", "-monitor", "none",
            "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off",
            "-qtest", f"unix:{self.folder}/qtest,server=on,wait=off", "-qtest-log", "/dev/null",
            "-serial", f"file:{self.folder}/console.log",
        ]  # fmt: skip
        if self._snapshot:
            arguments += ["-loadvm", self._snapshot]
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._wait(timeout_s)
        if self._snapshot:  # its clock stood still since the snapshot
            self.ssh(f"date -s @{int(time.time())}")
        self._snapshot = None

    def _wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if self.ssh("true", timeout_s=60).returncode == 0:
                return
            time.sleep(0.3)
        said = "".join(path.read_text(errors="replace")[-400:] for path in self.folder.glob("*.log"))
        raise TimeoutError(f"the machine did not come up: {said}")

    def ssh(
        self, command: str, timeout_s: float = 120, stdin: bytes = b"", user: str = "root"
    ) -> subprocess.CompletedProcess[str]:
        """One command; a connection that is cut ends with exit code 255."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return ssh(self.key, self.port, command, user=user, timeout_s=timeout_s, stdin=stdin)
        return subprocess.CompletedProcess([command], 255, "", f"no answer within {timeout_s:g} s")

    def cut_power(self) -> None:
        """As if the plug were pulled: nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze_disk(self) -> Path:
        """The disk as it is at this moment, which stays so; the machine goes on writing to a new layer over it."""
        frozen = self._layer
        self._layers += 1
        self._layer = self.folder / f"disk-{self._layers}.qcow2"
        self.qmp("blockdev-snapshot-sync", {"device": "d0", "snapshot-file": str(self._layer), "format": "qcow2"})
        return frozen

    def monitor(self, command: str) -> str:
        """One command of QEMU's monitor, and what it said."""
        answer: str = self.qmp("human-monitor-command", {"command-line": command})
        return answer

    def qmp(self, execute: str, arguments: dict[str, Any] | None = None) -> Any:
        """One command of QEMU's control protocol, and its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "qmp"))
            stream = connection.makefile("rw")
            stream.readline()  # its greeting
            for message in ({"execute": "qmp_capabilities"}, {"execute": execute, "arguments": arguments or {}}):
                stream.write(json.dumps(message) + "\n")
                stream.flush()
                while "event" in (answer := json.loads(stream.readline())):
                    pass
            return answer["return"]

    def set_cable(self, plugged: bool) -> None:
        """Plugs or pulls the network cable."""
        self.qmp("set_link", {"name": "n0", "up": plugged})

    def add_camera(self) -> None:
        """/dev/video0, a test pattern that moves."""
        done = self.ssh("modprobe vivid n_devs=1 node_types=0x1 && udevadm settle")
        if done.returncode != 0:
            raise RuntimeError(f"no camera: {done.stderr}")


class Pins:
    """The eight lines of the machine's /dev/gpiochip0, from the outside; line 3 is its power button."""

    def __init__(self, machine: Machine) -> None:
        chips = machine.qmp("qom-list", {"path": "/machine/unattached"})
        chip = next(entry["name"] for entry in chips if "pl061" in entry["type"])
        self._path = f"/machine/unattached/{chip}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(machine.folder / "qtest"))
        self._unread = b""
        self._send(f"irq_intercept_out {self._path}")

    def _send(self, line: str) -> None:
        self._socket.sendall(f"{line}\n".encode())

    def _line(self, until_s: float) -> str | None:
        """The next line that QEMU says; None when none came in time. Can be asked again afterwards."""
        while b"\n" not in self._unread:
            self._socket.settimeout(max(0.001, until_s - time.monotonic()))
            try:
                heard = self._socket.recv(4096)
            except TimeoutError:
                return None
            if not heard:
                return None
            self._unread += heard
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode().strip()

    def drive(self, line: int, high: bool) -> None:
        """What a sensor does to an input line."""
        self._send(f"set_irq_in {self._path} unnamed-gpio-in {line} {int(high)}")

    def wait_for(self, *lines: int, high: bool, timeout_s: float = 20) -> bool:
        """Whether the machine drives each of these output lines to that level in time, in whatever order."""
        until_s = time.monotonic() + timeout_s
        wanted = {f"IRQ {'raise' if high else 'lower'} {line}" for line in lines}
        while wanted and (said := self._line(until_s)) is not None:
            wanted.discard(said)
        return not wanted

    def close(self) -> None:
        """Lets go of the lines."""
        self._socket.close()


def remove_machine(machine: Machine) -> None:
    """Ends it and removes its disk, which is larger than what a test should leave behind."""
    machine.cut_power()
    for disk in machine.folder.glob("disk*.qcow2"):
        disk.unlink()
