"""MQTT 5: every result with QoS 1, and what the line is like now as retained messages.

The client's own reconnecting is off: when to try again is decided in one place for all outputs (pacing.py). Within
one process the client object lives on over connections, so that what was in flight is sent again as a duplicate.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from edgetl._version import VERSION
from edgetl.errors import AccessError, OutputError
from edgetl.runtime.outputs.config import Mqtt
from edgetl.runtime.outputs.delivery import Delivered
from edgetl.runtime.outputs.home_assistant import discovery
from edgetl.runtime.outputs.messages import counts_of, kind_of, reduced
from edgetl.runtime.outputs.mqtt_session import ACCESS, BAD_PAYLOAD, LARGEST, TOO_LARGE, Session
from edgetl.runtime.spool.rows import GAP, Row
from edgetl.runtime.status import LineStatus

_HEADER = 32  # bytes of a packet beside topic and payload
_PATIENCE = 5  # times that a row is refused without a clear reason before it is given up


class MqttDelivery:
    """Topics BASE/result and BASE/gap for each, BASE/status, BASE/last and BASE/counts retained; BASE is TOPIC/DEVICE."""

    def __init__(self, config: Mqtt, device: str, status: Callable[[], LineStatus]) -> None:
        self.batch = config.in_flight
        self._config = config
        self._device = device
        self._status = status
        self._base = f"{config.topic}/{device}"
        self._session: Session | None = None
        self._births: set[int] = set()
        self._sent: dict[int, int] = {}  # sequence: message id, of what the client holds
        self._refusals: dict[int, int] = {}  # sequence: how often
        self._heaviest = 0  # bytes of the largest packet that is not settled
        self._cap = LARGEST
        self._counts_at = 0.0

    def open(self) -> None:
        """Connects, says so, and tells Home Assistant what there is."""
        if self._session is None:
            self._session = Session(
                self._config, f"edgetl-{self._device}", (f"{self._base}/status", self._state("offline"))
            )
        self._session.connect()
        if not self._births:  # those of a connection that broke are still with the client, which sends them again
            self._births = self._announced(self._session)
        codes = self._session.wait_settled(self._births, self._config.acknowledge_s)
        self._births = set()
        self._check(codes.values())
        self._counts_at = 0.0

    def _announced(self, session: Session) -> set[int]:
        births = {session.publish(f"{self._base}/status", self._state("online"), retain=True)}
        if self._config.home_assistant:
            topic = f"{self._config.discovery_topic}/device/edgetl_{self._device}/config"
            described = msgspec.json.encode(discovery(self._device, self._base))
            births.add(session.publish(topic, described, retain=True))
        return births

    def _state(self, state: str) -> bytes:
        return msgspec.json.encode({"schema": 1, "device": self._device, "state": state, "version": VERSION})

    def _check(self, codes: Iterable[int]) -> None:
        if any(code in ACCESS for code in codes):
            raise AccessError(f"the broker does not let this user write to {self._base}/#; check its access list")

    def deliver(self, rows: Sequence[Row]) -> Delivered:
        """Publishes and waits for all acknowledgements; what was published before is only waited for."""
        session = self._connected()
        window = rows[: session.receive_maximum]
        too_large = f"larger than the broker's {session.largest} bytes"
        refused = {row.sequence: too_large for row in window if not self._published(row)}
        messages = {self._sent[row.sequence] for row in window if row.sequence in self._sent}
        codes = session.wait_settled(messages, self._config.acknowledge_s) if messages else {}
        count = self._settle(window, codes, refused)
        self._tell_state(window[:count])
        return Delivered(
            count, tuple((row, refused[row.sequence]) for row in window[:count] if row.sequence in refused)
        )

    def _connected(self) -> Session:
        if self._session is None:
            raise OutputError(f"{self._config.where}: not connected")
        self._session.check()
        return self._session

    def _published(self, row: Row) -> bool:
        """Hands a row to the client, once; False if it is too large in any form."""
        if row.sequence in self._sent:
            return True
        topic = f"{self._base}/{kind_of(row)}"
        payload = self._fitting(topic, row)
        if payload is None:
            return False
        self._heaviest = max(self._heaviest, len(payload) + len(topic) + _HEADER)
        self._sent[row.sequence] = self._connected().publish(topic, payload)
        return True

    def _fitting(self, topic: str, row: Row) -> bytes | None:
        """The row's payload, reduced if it has to be; None if the broker takes it in no form."""
        room = min(self._connected().largest, self._cap) - len(topic) - _HEADER
        payload = row.payload
        if row.kind != GAP and (len(payload) > room or row.sequence in self._refusals):
            payload = reduced(payload)
        return payload if len(payload) <= room else None

    def _settle(self, rows: Sequence[Row], codes: dict[int, int], refused: dict[int, str]) -> int:
        """How many of the first rows are settled; what the broker will never take joins `refused`."""
        for count, row in enumerate(rows):
            code = codes.get(self._sent.pop(row.sequence, -1), 0)
            if row.sequence in refused or code < 0x80:
                self._refusals.pop(row.sequence, None)
                continue
            self._check([code])
            times = self._refusals[row.sequence] = self._refusals.get(row.sequence, 0) + 1
            if times < (2 if code in (TOO_LARGE, BAD_PAYLOAD) else _PATIENCE):
                self._forget(rows[count + 1 :])
                if count:
                    return count
                raise OutputError(f"the broker did not take result {row.sequence}: reason code 0x{code:02X}")
            refused[row.sequence] = f"the broker's reason code 0x{code:02X}"
            del self._refusals[row.sequence]
        self._heaviest = 0
        return len(rows)

    def _forget(self, rows: Sequence[Row]) -> None:
        """Rows after one that has to be tried again: they keep their order, so they are sent again as well."""
        for row in rows:
            self._sent.pop(row.sequence, None)

    def _tell_state(self, rows: Sequence[Row]) -> None:
        """The retained messages: newest result, and figures at intervals. A lost one is mended by the next: QoS 0."""
        session, now = self._connected(), time.monotonic()
        topic, results = f"{self._base}/last", [row for row in rows if row.kind != GAP]
        if results and (payload := self._fitting(topic, results[-1])) is not None:
            session.publish(topic, payload, retain=True, qos=0)
        if now >= self._counts_at:
            self._counts_at = now + self._config.heartbeat_s
            counts = msgspec.json.encode(counts_of(self._status(), self._device))
            session.publish(f"{self._base}/counts", counts, retain=True, qos=0)

    def close(self) -> None:
        """Lets go of the connection. What the broker hung up on for its size must not be sent again as it is."""
        session = self._session
        if session is None:
            return
        session.close(orderly=False)
        if session.was_too_large:
            self._cap, self._heaviest, self._session = max(self._heaviest - 1, 0), 0, None
            self._sent.clear()
            self._births.clear()

    def leave(self) -> None:
        """An orderly end: says `offline` itself, since a broker sends no last will then."""
        session = self._session
        if session is None:
            return
        with contextlib.suppress(OutputError):
            message = session.publish(f"{self._base}/status", self._state("offline"), retain=True)
            session.wait_settled({message}, 1.0)
        session.close(orderly=True)
