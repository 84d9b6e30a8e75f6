"""Who is signed in, and how often somebody may try. Values in, values out; the clock is given."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

import msgspec

_IDLE_S = 2 * 3600.0
_LONGEST_S = 12 * 3600.0  # a shift and its overtime
_MOST = 64  # sessions; the oldest goes
_FREE_TRIES = 5
_LONGEST_WAIT_S = 300.0
_ADDRESSES = 1024  # whose tries are remembered


class Session(msgspec.Struct):
    """Somebody who gave the password. `csrf` must come back with everything that changes something."""

    csrf: str
    since_s: float
    seen_s: float


class Sessions:
    """The sessions of one server. They end with it, so a restart signs everybody out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def begin(self) -> tuple[str, Session]:
        """A new session and the token that goes into the cookie; only the token's hash is kept."""
        token, now = secrets.token_urlsafe(32), self._clock()
        session = Session(secrets.token_urlsafe(32), now, now)
        while len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_digest(token)] = session
        return token, session

    def find(self, token: str | None) -> Session | None:
        """The session of a token, if it has not run out."""
        session = self._sessions.get(_digest(token)) if token else None
        if session is None or token is None:
            return None
        now = self._clock()
        if now - session.seen_s > _IDLE_S or now - session.since_s > _LONGEST_S:
            del self._sessions[_digest(token)]
            return None
        session.seen_s = now
        return session

    def end(self, token: str | None) -> None:
        """Signs out."""
        if token:
            self._sessions.pop(_digest(token), None)


def may_change(session: Session | None, csrf: str | None) -> bool:
    """Whether a request that changes something really comes from our page."""
    return session is not None and csrf is not None and hmac.compare_digest(session.csrf.encode(), csrf.encode())


class Tries:
    """How long an address must wait before its next try: five are free, then each failure doubles the wait.

    All addresses together have ten times as many, so that many machines do not try in turn.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}

    def wait_s(self, address: str) -> float:
        """Seconds until that address may try; 0 is now."""
        return max(self._left(address, _FREE_TRIES), self._left("", 10 * _FREE_TRIES))

    def failed(self, address: str) -> None:
        """A wrong password came from there."""
        for name in (address, ""):
            failures, _ = self._failures.pop(name, (0, 0.0))
            self._failures[name] = (failures + 1, self._clock())
        while len(self._failures) > _ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, address: str) -> None:
        """The right password came from there."""
        self._failures.pop(address, None)
        self._failures.pop("", None)

    def _left(self, name: str, free: int) -> float:
        failures, last_s = self._failures.get(name, (0, 0.0))
        if failures < free:
            return 0.0
        wait = min(_LONGEST_WAIT_S, 2.0 ** min(failures - free, 20))
        return max(0.0, last_s + wait - self._clock())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
