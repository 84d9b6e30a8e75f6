"""A part announced by POST /trigger, for a PLC or script that speaks HTTP."""

from __future__ import annotations

import hmac
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgetl.errors import SourceError, UsageError
from edgetl.runtime.parts.settings import HttpTrigger
from edgetl.runtime.triggers.base import Inbox, Trigger


class HttpRequests(Trigger):
    """Answers 202 to POST /trigger, at once: the verdict goes to the outputs. `port` is the one that was taken."""

    def __init__(self, settings: HttpTrigger, inbox: Inbox) -> None:
        token = _token(settings)
        try:
            self._server = ThreadingHTTPServer((settings.host, settings.port), _handler(inbox, token))
        except OSError as error:
            raise SourceError(f"trigger: cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _token(settings: HttpTrigger) -> str | None:
    if settings.token_env is None:
        return None
    token = os.environ.get(settings.token_env)
    if not token:
        raise UsageError(f"trigger: the environment variable {settings.token_env} with the token is not set")
    return token


def _handler(inbox: Inbox, token: str | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # a client that says nothing holds no thread for longer

        def do_POST(self) -> None:
            now = time.monotonic()
            self.close_connection = True  # a body, if any, is not read
            if self.path != "/trigger":
                self._answer(404)
            elif token is not None and not self._is_allowed(token):
                self._answer(401)
            else:
                inbox.put(now)
                self._answer(202)

        def _is_allowed(self, wanted: str) -> bool:
            given = self.headers.get("Authorization", "").encode("latin-1", "replace")
            return hmac.compare_digest(given, f"Bearer {wanted}".encode())

        def _answer(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent: a line a part would fill the log."""

    return Handler
