"""A browser in the few respects that the server can see: it keeps a cookie and sends what it is told."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Talks to one page."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self.cookie: str | None = None
        self.set_cookie = ""
        self.csrf: str | None = None

    def get(self, path: str, **headers: str) -> Answer:
        """A GET."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, content: object, **headers: str) -> Answer:
        """A POST of JSON, with the session's mark if there is one."""
        mark = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        return self._ask(
            "POST", path, json.dumps(content).encode(), {"Content-Type": "application/json", **mark, **headers}
        )

    def sign_in(self, password: str, **headers: str) -> Answer:
        """Signs in and keeps the session."""
        answer = self.post("/api/sign-in", {"password": password}, **headers)
        if answer.status == 200:
            self.csrf = answer.json["csrf"]
        return answer

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        sent = {"Cookie": self.cookie} if self.cookie else {}
        connection.request(method, path, body, {**sent, **{k.replace("_", "-"): v for k, v in headers.items()}})
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        if "set-cookie" in answer.headers:
            self.set_cookie = answer.headers["set-cookie"]
            self.cookie = self.set_cookie.partition(";")[0]
        return answer
