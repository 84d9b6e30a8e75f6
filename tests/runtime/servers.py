"""Cameras on the network that misbehave, as small real servers on this machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgetl.runtime.preprocess import Image
from tests.runtime import pictures as pic


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Accepts connections and never says a word; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in taken:
            connection.close()


@contextlib.contextmanager
def mjpeg_server(frames: Callable[[], Iterator[Image]], *, stall: bool = False) -> Iterator[int]:
    """Serves frames as multipart JPEG, at most fifty a second; after the last one it hangs up or, with `stall`, falls
    silent. Gives its port."""
    with parts_server(lambda: map(pic.jpeg, frames()), stall=stall, pause_s=0.02) as port:
        yield port


@contextlib.contextmanager
def parts_server(parts: Callable[[], Iterable[bytes]], *, stall: bool = True, pause_s: float = 0.0) -> Iterator[int]:
    """The same with parts as they are, and as fast as they are taken where there is no pause after each."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with contextlib.suppress(OSError):
                for data in parts():
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                    self.wfile.write(b"Content-Length: %d\r\n\r\n%s\r\n" % (len(data), data))
                    self.wfile.flush()
                    if ended.wait(pause_s):
                        return
                if stall:
                    ended.wait(60)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
