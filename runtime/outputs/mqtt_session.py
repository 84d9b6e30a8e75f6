"""One MQTT client and what is in flight on it: the only place that knows the client library."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

from edgetl.errors import AccessError, OutputError
from edgetl.runtime.outputs.config import Mqtt, check_address
from edgetl.runtime.outputs.secrets import read_secret, tls_context

if TYPE_CHECKING:
    from paho.mqtt.client import Client

CONNECT_S = 5.0
_SESSION_S = 300  # seconds that the broker keeps our session, for duplicates to be known as such
LARGEST = 268_435_455  # bytes of a packet that the protocol can carry
ACCESS = {0x86, 0x87, 0x8A, 0x8C}  # bad user name or password, not authorized, banned, bad authentication method
TOO_LARGE, BAD_PAYLOAD = 0x95, 0x99


class Session:
    """A client that survives its connections. Callbacks come from the client's thread, all else from one other."""

    def __init__(self, config: Mqtt, client_id: str, will: tuple[str, bytes] | None = None) -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        self._config = config
        self._address = check_address(config.address, {"mqtt": 1883, "mqtts": 8883})
        self._changed = threading.Condition()
        self._up = False
        self._why: OutputError | None = None
        self._outstanding: set[int] = set()
        self._settled: dict[int, int] = {}  # message id: the broker's reason code
        self.largest = LARGEST
        self.was_too_large = False  # the broker hung up on a packet for its size
        self.receive_maximum = config.in_flight
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5, reconnect_on_failure=False)
        client.on_connect, client.on_disconnect, client.on_publish = (
            self._connected,
            self._disconnected,
            self._published,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(config.in_flight)
        if will is not None:
            client.will_set(*will, qos=1, retain=True)
        if self._address.scheme == "mqtts":
            client.tls_set_context(tls_context(config.tls))
        self._client: Client = client

    # The client's thread.

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            if reason.is_failure:
                self._why = _refusal(reason, "refused the connection")
            else:
                self.largest = getattr(properties, "MaximumPacketSize", LARGEST)
                self.receive_maximum = min(self._config.in_flight, getattr(properties, "ReceiveMaximum", 65535))
                self._up, self._why = True, None
            self._changed.notify_all()

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            self._up = False
            if self._why is None:
                self._why = _refusal(reason, "closed the connection")
            self.was_too_large = reason.value == TOO_LARGE
            self._changed.notify_all()

    def _published(self, client: Any, userdata: Any, message: int, reason: Any, properties: Any) -> None:
        with self._changed:
            self._settled[message] = reason.value
            self._changed.notify_all()

    # The output's thread.

    def connect(self) -> None:
        """Connects and waits for the broker's word. Raises OutputError, AccessError."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        config, properties = self._config, Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        self._why = None
        if config.username is not None:
            self._client.username_pw_set(config.username, read_secret(config.password_env, config.password_file))
        try:
            self._client.connect(self._address.host, self._address.port, config.keepalive_s, clean_start=False, properties=properties)  # fmt: skip
        except ssl.SSLError as error:
            raise AccessError(f"{config.where}: TLS: {getattr(error, 'verify_message', '') or error.reason}") from error
        except (OSError, ValueError) as error:
            raise OutputError(f"{config.where}: {_network(error)}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._up or self._why is not None, CONNECT_S)
            if not self._up:
                raise self._why or OutputError(
                    f"{config.where}: no answer within {CONNECT_S:g} s; is it an MQTT 5 broker?"
                )

    def check(self) -> None:
        """Raises OutputError if the connection is gone."""
        with self._changed:
            if not self._up:
                raise self._why or OutputError(f"{self._config.where}: not connected")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> int:
        """Sends; gives the message's id."""
        message = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        if qos:
            self._outstanding.add(message)
        return message

    def wait_settled(self, messages: set[int], timeout_s: float) -> dict[int, int]:
        """Waits for the broker's word on messages; gives the codes of all of them. Raises OutputError."""
        with self._changed:
            # The library reports messages of QoS 0 as well; ids come round again after 65,535.
            self._settled = {m: code for m, code in self._settled.items() if m in self._outstanding}
            self._changed.wait_for(lambda: not self._up or messages <= self._settled.keys(), timeout_s)
            if messages <= self._settled.keys():
                self._outstanding -= messages
                return {message: self._settled.pop(message) for message in messages}
            if not self._up:
                raise self._why or OutputError(f"{self._config.where}: the connection was lost")
            raise OutputError(f"{self._config.where}: no acknowledgement within {timeout_s:g} s")

    def close(self, *, orderly: bool) -> None:
        """Ends the connection; without `orderly` the broker sends our last will."""
        if orderly:
            self._client.disconnect()
        else:
            self._drop_socket()
        self._client.loop_stop()
        with self._changed:
            self._up = False

    def _drop_socket(self) -> None:
        connection = self._client.socket()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


def _refusal(reason: Any, what: str) -> OutputError:
    kind = AccessError if reason.value in ACCESS else OutputError
    return kind(f"the broker {what}: {str(reason).lower()}")


def _network(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host; check the address and the name server"
    if isinstance(error, TimeoutError):
        return "no answer; check the address, the network and the firewall"
    return (getattr(error, "strerror", None) or str(error)).lower()
