"""systemd's notification protocol (sd_notify(3)): datagrams of KEY=value lines to the socket that it names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Tells the service manager how it stands; says nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is one of the abstract name space, which has no file.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 if own else 0.0

    def tell(self, *lines: str) -> None:
        """Sends what is so now. A manager that does not listen must not stop the line."""
        if self._socket is not None:
            try:
                self._socket.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return

    def reloading(self) -> None:
        """The configuration is being taken over anew; READY=1 follows."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def starting_anew(self, within_s: float) -> None:
        """The program is about to start in its own place, which feeds no watchdog: it waits for so long, if that is
        longer than its limit, until the first frame sets its limit again."""
        if self.watchdog_s:
            self.tell("WATCHDOG=1", self._limit(max(within_s, self.watchdog_s)))

    def ready(self) -> None:
        """The first frame went all the way; from now on the unit's own limit holds."""
        self.tell("READY=1", *([self._limit(self.watchdog_s)] if self.watchdog_s else []))

    @staticmethod
    def _limit(seconds: float) -> str:
        return f"WATCHDOG_USEC={int(seconds * 1e6)}"

    def close(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
