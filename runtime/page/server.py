"""Serves the page from a thread of its own, and ends with the line."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.applications import Starlette

from edgetl.errors import UsageError
from edgetl.runtime.page.settings import PageSettings

_BACKLOG = 64


class Server:
    """Listens from construction on, so that a port in use is told before the line starts."""

    def __init__(self, app: Starlette, settings: PageSettings) -> None:
        self._socket = _bound(settings)
        tls = settings.tls_certificate is not None
        host, port = self._socket.getsockname()[:2]
        self.address = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
        try:
            config = uvicorn.Config(
                app, log_level="error", access_log=False, lifespan="off", server_header=False, date_header=False,
                ws="none", timeout_graceful_shutdown=1, backlog=_BACKLOG, timeout_keep_alive=15, proxy_headers=False,
                ssl_certfile=settings.tls_certificate, ssl_keyfile=settings.tls_key,
            )  # fmt: skip
            config.load()
        except OSError as error:
            raise UsageError(f"page.tls_certificate, page.tls_key: {error}") from error
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; who waits for a frame is cut off after a second."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _bound(settings: PageSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UsageError(f"page: cannot listen on {where}: {error.strerror}; name another with --page") from error
    return found
