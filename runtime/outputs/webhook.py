"""One HTTP POST a result, on a connection that is kept; anything but 2xx means that it comes again."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence

from edgetl._version import VERSION
from edgetl.errors import AccessError, OutputError
from edgetl.runtime.outputs.config import Webhook, check_address
from edgetl.runtime.outputs.delivery import Delivered
from edgetl.runtime.outputs.messages import reduced
from edgetl.runtime.outputs.secrets import read_secret, tls_context
from edgetl.runtime.spool.rows import GAP, Row

_MAX_REPLY = 64 * 1024  # bytes of a reply that are read; the rest only matters for keeping the connection


class WebhookDelivery:
    """Posts rows one by one, in order."""

    batch = 50

    def __init__(self, config: Webhook, device: str) -> None:
        self._config = config
        self._device = device
        self._address = check_address(config.address, {"http": 80, "https": 443})
        self._connection: http.client.HTTPConnection | None = None
        self._token: str | None = None

    def open(self) -> None:
        """Reads the token; the connection is made with the first result."""
        self._token = read_secret(self._config.token_env, self._config.token_file)
        host, port, timeout = self._address.host, self._address.port, self._config.timeout_s
        if self._address.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=tls_context(self._config.tls)
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def deliver(self, rows: Sequence[Row]) -> Delivered:
        """Posts until all are taken or one is not; that one is tried again later, unless it will never be taken."""
        refused: list[tuple[Row, str]] = []
        for count, row in enumerate(rows):
            try:
                reason = self._offer(row)
            except OutputError:
                if count == 0:
                    raise
                return Delivered(count, tuple(refused))
            if reason is not None:
                refused.append((row, reason))
        return Delivered(len(rows), tuple(refused))

    def _offer(self, row: Row) -> str | None:
        """None when taken; the reason when the receiver will never take it. Raises OutputError to try again."""
        status = self.post(row.payload, row.sequence)
        if status == 413 and row.kind != GAP:
            status = self.post(reduced(row.payload), row.sequence)
        if 200 <= status < 300 or status == 409:  # Conflict: it has this one
            return None
        if status in (401, 403, 407):
            raise AccessError(f"{self._config.where}: HTTP {status}; check the token")
        if status in (400, 413, 415, 422):
            return f"HTTP {status}"
        raise OutputError(f"{self._config.where}: HTTP {status}")

    def post(self, payload: bytes, sequence: int) -> int:
        """Posts once, or twice where the server had closed a kept connection; gives the status."""
        if self._connection is None:
            raise OutputError(f"{self._config.where}: not open")
        headers = {"Content-Type": "application/json", "User-Agent": f"edgetl/{VERSION}", "Idempotency-Key": f"{self._device}-{sequence}"}  # fmt: skip
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        kept = self._connection.sock is not None
        try:
            return self._exchange(self._connection, payload, headers)
        except (ssl.SSLError, http.client.HTTPException, OSError) as error:
            self._connection.close()
            if kept and isinstance(error, http.client.RemoteDisconnected | ConnectionError):
                return self.post(payload, sequence)
            raise self._failure(error) from error

    def _exchange(self, connection: http.client.HTTPConnection, payload: bytes, headers: dict[str, str]) -> int:
        connection.request("POST", self._address.path, payload, headers)
        reply = connection.getresponse()
        reply.read(_MAX_REPLY)
        if not reply.isclosed():
            connection.close()
        return reply.status

    def _failure(self, error: Exception) -> OutputError:
        if isinstance(error, ssl.SSLError):
            return AccessError(f"{self._config.where}: TLS: {getattr(error, 'verify_message', '') or error.reason}")
        if isinstance(error, socket.gaierror):
            return OutputError(f"{self._config.where}: no such host; check the address and the name server")
        if isinstance(error, TimeoutError):
            return OutputError(f"{self._config.where}: no answer within {self._config.timeout_s:g} s")
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return OutputError(f"{self._config.where}: {reason.lower()}")

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    leave = close
