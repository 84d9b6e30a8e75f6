"""What stands around the line and fails: a broker that stops or freezes, a disk that fills up."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from edgetl.benchmarks.ports import free_port
from edgetl.errors import MissingPartError

DISK_BYTES = 16 << 20  # SQLite's write-ahead log alone takes four of them


class Fault(msgspec.Struct, frozen=True):
    """What was done to the world, when (seconds since the start) and for how long."""

    kind: str
    at_s: float
    seconds: float


class Broker:
    """A real Mosquitto on loopback that keeps its sessions over a proper restart."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if self._program is None:
            raise MissingPartError("mosquitto is not installed; run: make system")
        self._folder = folder
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        # The broker must not be what forgets: nothing here is about its limits.
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nmax_queued_messages 0\nuser root\n"
        )
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(self._program), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            time.sleep(0.05)
        return process

    def stop(self) -> None:
        """Ends it properly: connections are refused."""
        self._process.terminate()
        self._process.wait(30)

    def start(self) -> None:
        """Brings it back."""
        self._process = self._started()

    def freeze(self) -> None:
        """As if its cable were pulled: connections stay and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again."""
        self._process.send_signal(signal.SIGCONT)


class Disk:
    """A small file system of its own, so that it can be full without harm. Needs root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "edgetl-soak", str(folder)], check=True)
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Writes until nothing more fits; called again, it takes what was freed meanwhile."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass

    def free(self) -> None:
        """Takes the filler away."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmounts it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


class Way(msgspec.Struct, frozen=True):
    """A way to break the world: how, how to mend it, for how many seconds, and whether to insist all the while."""

    kind: str
    break_it: Callable[[], None]
    mend_it: Callable[[], None]
    shortest_s: float
    longest_s: float
    insist: bool = False


def ways_to_break(broker: Broker, disk: Disk | None) -> list[Way]:
    """A silent broker is told after 10 s, and a full disk when a file needs another page, which the line's few bytes a second may
    take half a minute to fill: nothing shorter is felt."""
    ways = [
        Way("broker stopped", broker.stop, broker.start, 2.0, 30.0),
        Way("broker silent", broker.freeze, broker.thaw, 15.0, 40.0),
    ]
    if disk is not None:
        ways.append(Way("disk full", disk.fill, disk.free, 35.0, 50.0, insist=True))
    return ways


PAUSES_S = (35.0, 60.0)  # longer than an output waits between two tries: each fault is one that it meets


def misfortunes(
    ways: list[Way], seed: int, seconds: float, stopped: Callable[[], bool], pauses_s: tuple[float, float] = PAUSES_S
) -> Iterator[Fault]:
    """Breaks and mends at random until the time is over; the last 30 s are quiet."""
    chance, start = random.Random(seed), time.monotonic()
    while True:
        way = chance.choice(ways)
        length, pause = chance.uniform(way.shortest_s, way.longest_s), chance.uniform(*pauses_s)
        at_s = time.monotonic() - start + pause
        if at_s + length > seconds - 30.0 or not _waited(pause, stopped):
            return
        way.break_it()
        try:
            _waited(length, stopped, way.break_it if way.insist else None)
        finally:
            way.mend_it()
        yield Fault(way.kind, round(at_s, 1), round(length, 1))


def _waited(seconds: float, stopped: Callable[[], bool], meanwhile: Callable[[], None] | None = None) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if stopped():
            return False
        if meanwhile is not None:
            meanwhile()
        time.sleep(0.1)
    return True
