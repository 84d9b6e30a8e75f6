"""A network camera as a program of its own, so that it can be stopped, killed and started again.

`python -m edgetl.benchmarks.mjpeg_camera PORT FPS [WIDTHxHEIGHT [drawn]]` serves MJPEG over HTTP; each picture is noise whose
mean tells its number, or with `drawn` one of the drawn conveyor with a part in place. Says "ready TIME" (on the monotonic clock, which all processes share) once it listens.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


def pictures(width: int, height: int) -> list[bytes]:
    """Ten JPEGs of noise."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 40, (height, width, 3), np.uint8) + np.uint8(20 * number) for number in range(10)]
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in noise]


def drawn_pictures(width: int, height: int) -> list[bytes]:
    """Ten JPEGs of parts on the drawn conveyor, at the quality that OpenCV takes by itself."""
    from edgetl.runtime.sim import Conveyor, ConveyorSettings

    frames = Conveyor(ConveyorSettings(width=width, height=height)).frames()
    parts = (frame.image for frame in frames if frame.part is not None)
    return [cv2.imencode(".jpg", next(parts))[1].tobytes() for _ in range(10)]


def main() -> None:
    """Serves until it is ended."""
    port, pause_s = int(sys.argv[1]), 1 / float(sys.argv[2])
    width, height = map(int, (sys.argv[3] if len(sys.argv) > 3 else "64x48").split("x"))
    shown = (drawn_pictures if sys.argv[4:] == ["drawn"] else pictures)(width, height)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=edge")
            self.end_headers()
            number = 0
            try:
                while True:
                    data = shown[number % len(shown)]
                    self.wfile.write(b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
                    self.wfile.write(data + b"\r\n")
                    number += 1
                    time.sleep(pause_s)
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    print("ready", time.monotonic(), flush=True)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
