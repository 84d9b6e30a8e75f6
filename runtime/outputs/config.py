"""The `outputs` section of a line's file: one record a kind of output, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from edgetl.runtime.pins.base import PinSettings
from edgetl.runtime.sources.base import redacted
from edgetl.runtime.verdict import VerdictKind

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Topic = Annotated[str, msgspec.Meta(pattern=r"^[^+#$\x00/][^+#\x00]{0,127}$")]
SafeState = Literal["reject", "off"]


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Paths of PEM files. Without `ca` the system's authorities count; `cert` and `key` say who this device is."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """What all outputs have. `name` is for people and for the spool, which remembers by it what was delivered."""

    name: Name | None = None

    @property
    def title(self) -> str:
        """The name, or the kind where there is one of a kind."""
        return self.name or self.kind

    @property
    def kind(self) -> str:
        """The `type` in the file."""
        return str(self.__struct_config__.tag)

    @property
    def where(self) -> str:
        """The address or path, for people; never with a secret."""
        return redacted(str(getattr(self, "address", "") or getattr(self, "folder", "") or getattr(self, "file", "")))


class Login(Output, frozen=True, kw_only=True):
    """An output that asks who is there. Secrets come from an environment variable or a file, never from this one."""

    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None


class Mqtt(Login, frozen=True, kw_only=True, tag="mqtt"):
    """MQTT 5. `address` is mqtt://HOST[:PORT] or mqtts://HOST[:PORT]."""

    address: str
    tls: Tls | None = None
    topic: Topic = "edgetl"
    home_assistant: bool = False
    discovery_topic: Topic = "homeassistant"
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    acknowledge_s: Seconds = 10.0
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 30
    heartbeat_s: Seconds = 10.0

    def __post_init__(self) -> None:
        check_address(self.address, {"mqtt": 1883, "mqtts": 8883})


class Webhook(Output, frozen=True, kw_only=True, tag="webhook"):
    """One HTTP POST a result. The token goes into `Authorization: Bearer`."""

    address: str
    tls: Tls | None = None
    token_env: str | None = None
    token_file: str | None = None
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        check_address(self.address, {"http": 80, "https": 443})


class Csv(Output, frozen=True, kw_only=True, tag="csv"):
    """Numbered CSV files in a folder; a new one every `max_bytes`, the oldest go when there are more than `keep`."""

    folder: str
    max_bytes: Annotated[int, msgspec.Meta(ge=4096)] = 10 * 1024 * 1024
    keep: Annotated[int, msgspec.Meta(ge=2)] = 20


class Sqlite(Output, frozen=True, kw_only=True, tag="sqlite"):
    """One table in a SQLite file, with the newest `max_rows` results."""

    file: str
    max_rows: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000


class ModbusServer(Output, frozen=True, kw_only=True, tag="modbus-server"):
    """The line as a Modbus TCP device: a controller reads the register map of docs/outputs.md."""

    address: str = "tcp://127.0.0.1:502"
    unit: Annotated[int, msgspec.Meta(ge=0, le=247)] = 1
    safe_state: SafeState = "reject"

    def __post_init__(self) -> None:
        check_address(self.address, {"tcp": 502})


class ModbusClient(Output, frozen=True, kw_only=True, tag="modbus-client"):
    """Writes every verdict into a controller's coils and registers, from the given first ones on."""

    address: str
    unit: Annotated[int, msgspec.Meta(ge=0, le=247)] = 1
    coil: Annotated[int, msgspec.Meta(ge=0, le=65000)] = 0
    register: Annotated[int, msgspec.Meta(ge=0, le=65000)] = 0
    timeout_s: Seconds = 1.0
    heartbeat_s: Seconds = 1.0
    safe_state: SafeState = "reject"

    def __post_init__(self) -> None:
        check_address(self.address, {"tcp": 502})


class OpcUaServer(Login, frozen=True, kw_only=True, tag="opcua-server"):
    """The line as an OPC UA server. With `cert` and `key` it takes signed and encrypted connections only."""

    address: str = "opc.tcp://127.0.0.1:4840/edgetl"
    cert: str | None = None
    key: str | None = None
    safe_state: SafeState = "reject"

    def __post_init__(self) -> None:
        check_address(self.address, {"opc.tcp": 4840})
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` go together")
        if self.username is not None and self.cert is None:
            raise ValueError("a password needs `cert` and `key`: without them it would cross the network in the clear")


class VerdictPin(PinSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pin that is active from a verdict among `on` until one that is not; with `pulse_s` for so long only."""

    on: Annotated[tuple[VerdictKind, ...], msgspec.Meta(min_length=1)]
    pulse_s: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None


class Gpio(Output, frozen=True, kw_only=True, tag="gpio"):
    """Verdicts as levels or pulses of pins. While the line is not ready, pins for FAULT are active and others are not."""

    pins: Annotated[tuple[VerdictPin, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        found = [(pin.chip, pin.line) for pin in self.pins]
        twice = sorted({f"{chip}, line {line}" for chip, line in found if found.count((chip, line)) > 1})
        if twice:
            raise ValueError(f"pins: {twice[0]} is given twice; list all its verdicts in one `on`")

    @property
    def where(self) -> str:
        """The pins."""
        return ", ".join(f"{pin.chip} line {pin.line}" for pin in self.pins)

    @property
    def safe_levels(self) -> tuple[tuple[PinSettings, bool], ...]:
        """Each pin, and whether it is active while nothing inspects."""
        return tuple((pin, "FAULT" in pin.on) for pin in self.pins)


OutputConfig = Mqtt | Webhook | Csv | Sqlite | ModbusServer | ModbusClient | OpcUaServer | Gpio


class Address(msgspec.Struct, frozen=True):
    """An address taken apart."""

    scheme: str
    host: str
    port: int
    path: str


def check_address(text: str, ports: dict[str, int]) -> Address:
    """Takes `scheme://host[:port][/path]` apart; `ports` gives the schemes and their usual ports.

    Raises ValueError, which never shows a password: msgspec adds where in the file it was.
    """
    if "@" in text:
        raise ValueError("address: holds a password; name the user in `username`, and in `password_env`, `token_env` or "
                         "their `_file` where the secret is")  # fmt: skip
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("address: its port is no number from 0 to 65535, or its host is none") from None
    if parts.scheme not in ports or not parts.hostname:
        allowed = " or ".join(f"{scheme}://HOST[:{usual}]" for scheme, usual in ports.items())
        raise ValueError(f"address: {redacted(text)!r} is no {allowed}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, parts.hostname, port or ports[parts.scheme], path)


def titles(outputs: tuple[OutputConfig, ...]) -> tuple[str, ...]:
    """The outputs' names. Raises ValueError where two have the same: the spool could not tell them apart."""
    found = [output.title for output in outputs]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise ValueError(f"outputs: two are called {twice[0]!r}; give each a `name` of its own")
    return tuple(found)
