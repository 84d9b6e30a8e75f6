"""The `page` section of a line's file."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.page.password import is_hash


class PageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the page is and who may see it.

    Without a `password` (the hash that `edgetl page-password` prints) the page is reachable from the device itself only, and
    nothing can be set there. `view`: whether one must sign in to look, or only to set. `tls_certificate` and `tls_key`
    are PEM files. `hosts` are the names by which the page is called, where a proxy or a name server gives it one.
    `/healthz` answers 503 when no frame came for `stale_s`. With `pictures: false` there are metrics and health only.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    password: str | None = None
    view: Literal["signed-in", "anyone"] = "signed-in"
    tls_certificate: str | None = None
    tls_key: str | None = None
    hosts: tuple[str, ...] = ()
    pictures: bool = True
    stale_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 10.0

    def __post_init__(self) -> None:
        if self.password is not None and not is_hash(self.password):
            raise UsageError("page.password is no hash; make one with: edgetl page-password")
        if self.password is None and not is_loopback(self.host):
            raise UsageError(
                f"page.host {self.host} can be reached by others, and there is no page.password; make one with "
                "`edgetl page-password`, or use 127.0.0.1"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("page.tls_certificate and page.tls_key go together")


def is_loopback(host: str) -> bool:
    """Whether an address is the machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def with_address(settings: PageSettings, address: str) -> PageSettings:
    """The settings with `HOST:PORT`, `HOST` or `PORT` from the command line. Raises UsageError."""
    host, colon, port = address.rpartition(":")
    if not colon:
        host, port = ("", address) if address.isdecimal() else (address, "")
    elif not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--page {address}: name it as HOST:PORT, for example 127.0.0.1:8080")
    changes: dict[str, object] = {"enabled": True}
    if host:
        changes["host"] = host.strip("[]")
    if port:
        changes["port"] = int(port)
    return msgspec.structs.replace(settings, **changes)
