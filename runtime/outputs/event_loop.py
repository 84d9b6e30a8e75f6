"""An asyncio server in a thread of its own, started again when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from edgetl.errors import OutputError
from edgetl.runtime.outputs.pacing import as_output_error, pause_s
from edgetl.runtime.status import SinkHealth

_log = logging.getLogger("edgetl.outputs")
Serve = Callable[[asyncio.Event], AbstractAsyncContextManager[None]]


class ServerThread:
    """Keeps `serve` open; what keeps it from opening (a port in use) is its health, and it is tried again.

    `serve` is given an event and gives a context manager: open while it is entered, and to be left when the event is
    set by itself because it cannot go on.
    """

    def __init__(self, name: str, serve: Serve) -> None:
        self._name = name
        self._serve = serve
        self._health = SinkHealth(name=name, ok=False, detail="not started yet")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"output {name}", daemon=True)

    def start(self) -> None:
        """Begins to serve."""
        self._thread.start()

    def health(self) -> SinkHealth:
        """Whether it serves."""
        return self._health

    def call(self, function: Callable[[], object]) -> None:
        """Has something done in the server's thread, soon; nothing once it has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed a moment ago
                self._loop.call_soon_threadsafe(function)

    def close(self, timeout_s: float) -> None:
        """Ends the server."""
        self._stopping = True
        self.call(self._stop.set)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        asyncio.run(self._keep_serving())

    async def _keep_serving(self) -> None:
        self._loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping:
            try:
                self._stop.clear()
                async with self._serve(self._stop):
                    failures = 0
                    self._tell(True, "")
                    if not self._stopping:
                        await self._stop.wait()
            except Exception as error:
                failures += 1
                await self._wait_after(as_output_error(error), failures)

    async def _wait_after(self, error: OutputError, failures: int) -> None:
        self._tell(False, str(error))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause_s(error, failures, random.random()))

    def _tell(self, ok: bool, detail: str) -> None:
        if detail and detail != self._health.detail:
            _log.warning("%s: %s", self._name, detail)
        self._health = SinkHealth(name=self._name, ok=ok, detail=detail)
