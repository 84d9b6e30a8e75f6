"""Who is asking, and may they: the one place where requests meet sessions, tries and the page's settings."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import Request

from edgetl.runtime.page.password import matches
from edgetl.runtime.page.sessions import Session, Sessions, Tries, may_change
from edgetl.runtime.page.settings import PageSettings

COOKIE = "edgetl_session"
SignIn = Literal["right", "wrong", "wait"]


class Access:
    """Answers for one server."""

    def __init__(self, settings: PageSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.sessions = Sessions(clock)
        self.tries = Tries(clock)
        self._hashing = threading.Lock()  # one scrypt at a time: many at once would take the line's processor
        self._key = os.urandom(32)
        self._known: bytes | None = None  # HMAC of the password that was right, so that a scraper costs one scrypt

    def session(self, request: Request) -> Session | None:
        """The session that a request belongs to."""
        return self.sessions.find(request.cookies.get(COOKIE))

    def may_view(self, request: Request) -> bool:
        """Without a password only this machine can ask, so all may look."""
        settings = self.settings
        return settings.password is None or settings.view == "anyone" or self.session(request) is not None

    def may_scrape(self, request: Request) -> bool:
        """Metrics are for those who may look, and for scrapers with HTTP Basic authentication (any user name)."""
        if self.may_view(request):
            return True
        password = _basic(request.headers.get("authorization"))
        return password is not None and self.try_password(password, _address(request)) == "right"

    def may_change(self, request: Request) -> bool:
        """Whether a request may change something: signed in, and sent by our own page."""
        return same_origin(request) and may_change(self.session(request), request.headers.get("x-csrf-token"))

    def sign_in(self, request: Request, password: str) -> SignIn:
        """Whether a password opens a session now."""
        return self.try_password(password, _address(request))

    def wait_s(self, request: Request) -> float:
        """Seconds until the next try."""
        return self.tries.wait_s(_address(request))

    def try_password(self, password: str, address: str) -> SignIn:
        """Checks a password; blocks for the time of one scrypt, so not for an event loop."""
        hash = self.settings.password
        if hash is None:
            return "wrong"
        mark = hmac.digest(self._key, password.encode(), hashlib.sha256)
        if self._known is not None and hmac.compare_digest(mark, self._known):
            return "right"
        with self._hashing:
            if self.tries.wait_s(address) > 0:
                return "wait"
            if not matches(password, hash):
                self.tries.failed(address)
                return "wrong"
        self.tries.succeeded(address)
        self._known = mark
        return "right"


def same_origin(request: Request) -> bool:
    """Whether a browser says that our own page sent this; programs that say nothing are let on to the other checks."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


def _basic(header: str | None) -> str | None:
    """The password of an Authorization header."""
    kind, _, value = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
