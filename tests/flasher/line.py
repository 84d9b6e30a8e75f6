"""A line that inspects: the real service on a device root, started again when it ends, as systemd would."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.pulse import read_pulse

DEADLINE_S = 60.0
SIM = "sim:parts=1000000,parts_per_minute=600"


def eventually(holds: Callable[[], object], what: str) -> None:
    """Waits until it holds."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class LiveLine:
    """`edgetl run --slot`, and the verdicts that it gives."""

    def __init__(self, root: DeviceRoot, folder: Path, source: str = SIM) -> None:
        self.root = root
        self._out = folder / "verdicts"
        self._command = [sys.executable, "-m", "edgetl", "run", "--slot", str(root.path), "--json",
                         "--source", source, "--interpreter", "litert", "--threads", "1"]  # fmt: skip
        self._ends = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Starts it for good."""
        self._keeper.start()
        eventually(lambda: self.verdicts() > 2 and read_pulse(self.root), "the line gives verdicts")

    def stop(self) -> None:
        """Ends it."""
        self._ends.set()
        while self._keeper.is_alive():  # it may have begun another at this moment
            if self._process is not None:
                self._process.terminate()
            self._keeper.join(timeout=0.5)

    def verdicts(self) -> int:
        """How many it has given."""
        return self._out.read_bytes().count(b'"verdict"') if self._out.exists() else 0

    def runs(self, sha256: str) -> bool:
        """Whether it says that it runs this release."""
        pulse = read_pulse(self.root)
        return pulse is not None and pulse.sha256 == sha256

    def judges_with(self, sha256: str) -> None:
        """Asserts that it gives verdicts, now, and from this release."""
        eventually(lambda: self.runs(sha256), "it runs the release")
        count = self.verdicts()
        eventually(lambda: self.verdicts() > count + 2, "the line gives verdicts")
        assert self.runs(sha256)

    def _keep(self) -> None:
        with self._out.open("a") as out:
            while not self._ends.is_set():
                self._process = subprocess.Popen(self._command, stdout=out, stderr=subprocess.DEVNULL)
                self._process.wait()
                self._ends.wait(0.2)
