"""An emulated device with an init system: real systemd, journald and SSH server, arm64 programs, this machine's kernel.

It answers over SSH after some seconds. A reboot ends it; `start` again is the boot. Each is an overlay over
the built root file system: new in no time, and gone with its folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

from edgetl.benchmarks.ports import free_port
from tests.emulation.layers import prepared_layer, ssh
from tests.emulation.rootfs import root_filesystem

_START = """set -e
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$SCRATCH/root"
for group in $UNIT_GROUPS; do echo $$ > "$group/cgroup.procs"; done
printf 'Port %s\\nListenAddress 127.0.0.1\\n' "$PORT" >> "$SCRATCH/root/etc/ssh/sshd_config"
exec systemd-nspawn -q -D "$SCRATCH/root" --register=no --keep-unit --console=pipe --setenv=QEMU_CPU=cortex-a72 -b
"""


class ContainerDevice:
    """`prepared`: with edgetl's environment, edgetl excepted; else as bare as a fresh card."""

    def __init__(self, folder: Path, prepared: bool = True) -> None:
        self._folder = folder
        self._rootfs = root_filesystem()
        self.key = self._rootfs / "id"
        self.port = free_port()
        lower = [self._rootfs / "root"]
        self._lower = ":".join(str(layer) for layer in ([prepared_layer(), *lower] if prepared else lower))
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: list[Path] = []

    def start(self, timeout_s: float = 120) -> None:
        """Boots it and waits for its SSH server. Raises TimeoutError."""
        for name in ("upper", "work", "root"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._groups = _new_groups()
        environment = {**os.environ, "LOWER": self._lower, "SCRATCH": str(self._folder), "PORT": str(self.port),
                       "UNIT_GROUPS": " ".join(map(str, self._groups))}  # fmt: skip
        with (self._folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START],
                env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + timeout_s
        shown = False
        while time.monotonic() < deadline and self._process.poll() is None:
            shown = shown or self._show_arm_cpu()
            if shown and self.ssh("true", timeout_s=30).returncode == 0:
                # nspawn lays a boot identifier over the kernel's. A service that is shut in gets a /proc without it,
                # and would seem to be of another boot than a login.
                self.ssh("umount /proc/sys/kernel/random/boot_id")
                return
            time.sleep(0.2)
        raise TimeoutError(f"the device did not come up: {(self._folder / 'console.log').read_text()[-500:]}")

    def _show_arm_cpu(self) -> bool:
        """/proc is mounted by the container itself, so the file is laid over it from inside its mounts."""
        leader = self.leader()
        if leader is None:
            return False
        enter = ["nsenter", "-t", str(leader), "-m", "--", "/bin/mount", "--bind", "/etc/cpuinfo-pi4", "/proc/cpuinfo"]
        return subprocess.run(enter, capture_output=True, check=False).returncode == 0

    def leader(self) -> int | None:
        """The process on this machine that is the device's PID 1."""
        if self._process is None:
            return None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        with contextlib.suppress(OSError):
            if pids := children.read_text().split():
                return int(pids[0])
        return None

    def ssh(self, command: str, timeout_s: float = 60, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """One command as root."""
        return ssh(self.key, self.port, command, timeout_s=timeout_s, stdin=stdin)

    def stop(self) -> None:
        """Pulls its plug: every process ends at once; what it wrote stays."""
        leader = self.leader()
        if leader is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGKILL)  # the kernel ends all of a PID namespace with its first process
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)  # it takes the ended processes away
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None
        _remove(self._groups)


def _new_groups() -> list[Path]:
    """Control groups for one device, below this process's own. Without them two devices at once would have their units
    in the same ones, and each would wait for the other's processes to end."""
    made, name = [], f"edgetl-{uuid.uuid4().hex[:12]}"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, path = line.split(":", 2)
        if kind not in ("", "name=systemd"):  # the two hierarchies in which systemd keeps its units
            continue
        trees = [Path("/sys/fs/cgroup/systemd")] if kind else [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]
        for tree in trees:
            if (tree / "cgroup.procs").exists():
                with contextlib.suppress(OSError):  # as in a container that may make none: one device at a time, then
                    (group := tree / path.lstrip("/") / name).mkdir()
                    made.append(group)
                break
    return made


def _remove(groups: list[Path], timeout_s: float = 10) -> None:
    """They can be removed once the last process in them has ended."""
    deadline = time.monotonic() + timeout_s
    while (left := [group for group in groups if group.exists()]) and time.monotonic() < deadline:
        for group in left:
            for folder in sorted((found for found in group.rglob("*") if found.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
        time.sleep(0.1)
