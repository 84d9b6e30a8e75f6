"""A part announced by a message on an MQTT topic."""

from __future__ import annotations

import os
import time
from typing import Any

from edgetl.errors import SourceError, UsageError
from edgetl.runtime.parts.settings import MqttTrigger
from edgetl.runtime.triggers.base import Inbox, Trigger

_CONNECT_S = 5.0


class MqttMessages(Trigger):
    """Subscribes at QoS 1 and reconnects by itself; a retained message is an old one and announces nothing."""

    def __init__(self, settings: MqttTrigger, inbox: Inbox) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self._settings = settings
        self._inbox = inbox
        self.trouble = f"not connected to {settings.host}:{settings.port} yet"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        if settings.username is not None:
            self._client.username_pw_set(settings.username, _password(settings))
        if settings.tls:
            self._client.tls_set()
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        self._client.connect_timeout = _CONNECT_S
        try:
            self._client.connect_async(settings.host, settings.port, keepalive=15)
        except ValueError as error:
            raise SourceError(f"trigger: {settings.host}:{settings.port}: {error}") from error
        self._client.loop_start()

    def close(self) -> None:
        """Takes leave of the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.trouble = f"the broker at {self._settings.host}:{self._settings.port} refused: {reason}"
            return
        self.trouble = ""
        client.subscribe(self._settings.topic, qos=1)

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.trouble = f"lost the broker at {self._settings.host}:{self._settings.port}: {reason}"

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        if not message.retain:
            self._inbox.put(time.monotonic())


def _password(settings: MqttTrigger) -> str | None:
    if settings.password_env is None:
        return None
    password = os.environ.get(settings.password_env)
    if password is None:
        raise UsageError(f"trigger: the environment variable {settings.password_env} with the password is not set")
    return password
