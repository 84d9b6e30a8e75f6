"""An RTSP camera as a program: GStreamer's server, which Debian has for the system's own Python.

`/usr/bin/python3 rtsp_camera.py PORT` serves noise at rtsp://127.0.0.1:PORT/line, 25 pictures a second. Says "ready TIME" (on
the monotonic clock, which all processes share) once it listens. On SIGUSR1 bytes of its stream are changed for a fifth of a
second, and on SIGUSR2 the encoded pictures of that time are left out.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

_NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
PYTHON = "/usr/bin/python3"
MISSING = "needs gir1.2-gst-rtsp-server-1.0 and python3-gi: make system"
_PICTURES = (
    "( videotestsrc is-live=true pattern=snow ! video/x-raw,width=320,height=240,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! breakmydata name=bytes "
    "! identity name=pictures ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def is_possible() -> bool:
    """Whether the system's Python has what this program needs."""
    import subprocess

    return subprocess.run([PYTHON, "-c", _NEEDS], capture_output=True, check=False).returncode == 0


def main() -> None:
    """Serves until it is ended."""
    import gi  # type: ignore[import-not-found]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(_PICTURES)
    factory.set_shared(True)
    served: list[Any] = []
    factory.connect("media-configure", lambda _, media: served.append(media.get_element()))

    def spoil(name: str, prop: str, amount: float) -> bool:
        element = served[-1].get_by_name(name)
        element.set_property(prop, amount)
        GLib.timeout_add(200, lambda: element.set_property(prop, 0.0))
        return True

    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR1, spoil, "bytes", "probability", 0.0002)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR2, spoil, "pictures", "drop-probability", 1.0)
    server.get_mount_points().add_factory("/line", factory)
    if server.attach(None) == 0:
        sys.exit(1)
    print("ready", time.monotonic(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
