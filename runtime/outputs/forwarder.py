"""Carries rows from the spool to one receiver, in a thread of its own."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable

import msgspec

from edgetl.errors import OutputError
from edgetl.runtime.outputs.delivery import Delivered, Delivery
from edgetl.runtime.outputs.pacing import as_output_error, pause_s
from edgetl.runtime.spool.rows import GAP
from edgetl.runtime.spool.spool import Batch, Spool
from edgetl.runtime.status import SinkHealth

_log = logging.getLogger("edgetl.outputs")
_IDLE_S = 1.0  # how often a receiver is looked after when there is nothing to send


class Forwarder:
    """Delivers until it is closed; while the receiver is away, tries again at growing pauses."""

    def __init__(
        self,
        name: str,
        delivery: Delivery,
        spool: Spool,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """`rest` waits for so many seconds of `clock`, or until the event is set."""
        self._rest = rest
        self._name = name
        self._delivery = delivery
        self._spool = spool
        self._draw = draw
        self._clock = clock
        self._stop = threading.Event()
        self._until = math.inf
        self._lock = threading.Lock()
        self._failures = 0
        self._counted_at = -math.inf
        self._health = SinkHealth(name=name, ok=False, detail="not connected yet")
        self._thread = threading.Thread(target=self._run, name=f"output {name}", daemon=True)

    def start(self) -> None:
        """Begins to deliver."""
        self._thread.start()

    def health(self) -> SinkHealth:
        """How the receiver is; never waits."""
        with self._lock:
            return self._health

    def finish(self, within_s: float) -> None:
        """Begins to stop: goes on until nothing waits, the receiver fails or the time is up."""
        self._until = self._clock() + within_s
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the end; what is not delivered by then stays in the spool."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._delivery.open()
                self._deliver_all()
            except Exception as error:
                self._delivery.close()
                self._wait_after(as_output_error(error))
        self._delivery.leave()

    def _deliver_all(self) -> None:
        """Delivers until it is stopped. Raises when the receiver fails."""
        self._delivery.deliver(())
        self._tell(ok=True, detail="")
        while self._clock() < self._until:
            batch = self._spool.batch(self._name, self._delivery.batch)
            if batch.through > batch.after:
                self._settle(batch, self._delivery.deliver(batch.rows))
            elif self._stop.is_set():
                return
            else:
                self._idle(batch)

    def _idle(self, empty: Batch) -> None:
        self._failures = 0
        self._tell(ok=True, detail="", waiting=0)
        self._spool.wait(empty, _IDLE_S)
        self._delivery.deliver(())

    def _settle(self, batch: Batch, done: Delivered) -> None:
        for row, reason in done.refused:
            _log.error("%s: result %d was refused: %s", self._name, row.sequence, reason)
            self._spool.refuse(self._name, row, reason)
        whole = done.count == len(batch.rows)
        if whole or done.count:
            self._failures = 0
            self._spool.acknowledge(
                self._name, batch.after, batch.through if whole else batch.rows[done.count - 1].position
            )
        self._count(sum(row.kind != GAP for row in batch.rows[: done.count]), len(done.refused))

    def _count(self, delivered: int, refused: int) -> None:
        known, now = self.health(), self._clock()
        waiting = max(0, known.waiting - delivered)
        if now >= self._counted_at + _IDLE_S:  # counting reads the disk: 10 ms for a spool of 200,000
            self._counted_at, waiting = now, self._spool.waiting(self._name)
        self._tell(ok=True, detail="", waiting=waiting, delivered=known.delivered + delivered - refused, dropped=known.dropped + refused)  # fmt: skip

    def _wait_after(self, error: OutputError) -> None:
        self._failures += 1
        if self.health().detail != str(error):
            _log.warning("%s: %s", self._name, error)
        end = self._clock() + pause_s(error, self._failures, self._draw())
        while (left := end - self._clock()) > 0 and not self._stop.is_set():
            self._tell(ok=False, detail=str(error), waiting=self._spool.waiting(self._name))
            self._rest(self._stop, min(left, _IDLE_S))

    def _tell(self, **facts: object) -> None:
        with self._lock:
            before, self._health = self._health, msgspec.structs.replace(self._health, **facts)
        if self._health.ok and not before.ok:
            _log.info("%s: connected", self._name)
