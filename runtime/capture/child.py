"""The program of a camera's own process: `python -m edgetl.runtime.capture.child SOCKET MEMORY`.

It opens the camera, writes frames into shared slots, and tries again with growing pauses when the camera goes away.
Whatever it says, and that it says anything, is watched by its parent. It ends with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import random
import signal
import socket
import sys
import threading
import time

from edgetl.errors import EdgetlError, MissingPartError, RefusedError
from edgetl.runtime.capture import messages
from edgetl.runtime.capture.addresses import HTTP, STREAMS
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.base import Grabber
from edgetl.runtime.capture.messages import Alive, Free, FromChild, Lost, Opened, Opening, Taken, Task
from edgetl.runtime.capture.pauses import Pauses
from edgetl.runtime.capture.ring import SLOTS, Ring

_ALIVE_EVERY_S = 0.5
_REFUSED_PAUSE_S = 10.0
_STEADY_S = 5.0  # a connection that held that long was a good one: the pauses start small again
_PR_SET_PDEATHSIG = 1


def open_camera(address: str, config: CameraConfig) -> Grabber:
    """The camera behind an address. Raises SourceError, or MissingPartError."""
    if address.startswith("csi:"):
        from edgetl.runtime.capture.grabbers.csi import CsiCamera

        return CsiCamera(address, config)
    if address.startswith("gst:"):
        from edgetl.runtime.capture.grabbers.gstreamer import GStreamerCamera

        return GStreamerCamera(address, config)
    if address.startswith(HTTP):
        return _open_http(address, config)
    if address.startswith(STREAMS):
        from edgetl.runtime.capture.grabbers.stream import StreamCamera

        return StreamCamera(address, config)
    from edgetl.runtime.capture.grabbers.v4l2 import V4l2Camera

    return V4l2Camera(address, config)


def _open_http(address: str, config: CameraConfig) -> Grabber:
    from edgetl.runtime.capture.grabbers.mjpeg import MjpegCamera, NoMjpegError

    try:
        return MjpegCamera(address, config)
    except NoMjpegError:
        from edgetl.runtime.capture.grabbers.stream import StreamCamera

        return StreamCamera(address, config)


class Child:
    """Opens, grabs, and opens again, for ever."""

    def __init__(self, connection: socket.socket, memory: int) -> None:
        self._connection = connection
        self._ring = Ring(memory)
        self._free: queue.LifoQueue[int] = queue.LifoQueue()  # the slot used last is still in the cache
        for slot in range(SLOTS):
            self._free.put(slot)

    def run(self, task: Task) -> None:
        """Never returns; the process ends with its parent."""
        threading.Thread(target=self._listen, daemon=True).start()
        pauses = Pauses(random.random, longest_s=task.config.retry_pause_s)
        while True:
            began_s = time.monotonic()
            pause_s = self._one_connection(task)
            if time.monotonic() - began_s > _STEADY_S:
                pauses.reset()
            self._wait(pause_s if pause_s is not None else pauses.next_s())

    def _one_connection(self, task: Task) -> float | None:
        """Opens the camera and grabs until it fails; how long to wait before the next try, if that is fixed."""
        self._say(Opening())
        camera: Grabber | None = None
        try:
            camera = open_camera(task.address, task.config)
            self._say(Opened(camera.told, camera.differs))
            while True:
                self._one_frame(camera)
        except RefusedError as error:
            self._say(Lost(str(error)))
            return _REFUSED_PAUSE_S
        except EdgetlError as error:
            missing = isinstance(error, MissingPartError)
            self._say(Lost(str(error), missing_part=missing))
            return _REFUSED_PAUSE_S if missing else None
        finally:
            if camera is not None:
                camera.close()

    def _one_frame(self, camera: Grabber) -> None:
        slot = self._slot()
        if slot is None:
            dropped = camera.grab(None)
            self._say(Alive(skipped=1 + dropped.skipped))  # at once: it may be the last that the camera sends
            return
        grabbed = camera.grab(self._ring.slot(slot))
        if grabbed.damage is not None:
            self._free.put(slot)
            self._say(Lost(grabbed.damage, camera_gone=False, skipped=grabbed.skipped))
            return
        self._say(Taken(slot, grabbed.width, grabbed.height, grabbed.arrived_s, grabbed.skipped))

    def _slot(self) -> int | None:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return None

    def _wait(self, pause_s: float) -> None:
        until_s = time.monotonic() + pause_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._say(Alive())
            time.sleep(min(left_s, _ALIVE_EVERY_S))

    def _say(self, message: FromChild) -> None:
        try:
            self._connection.send(messages.encode(message))
        except OSError:
            os._exit(0)  # the parent is gone

    def _listen(self) -> None:
        """Takes slots back; runs beside the camera, so that a parent that is gone is noticed while the camera hangs."""
        with contextlib.suppress(OSError):
            while data := self._connection.recv(messages.MAX_MESSAGE_BYTES):
                message = messages.decode_to_child(data)
                if isinstance(message, Free):
                    self._free.put(message.slot)
        os._exit(0)


def main() -> None:
    """Takes the task from the socket and works on it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    connection = socket.socket(fileno=int(sys.argv[1]))
    task = messages.decode_to_child(connection.recv(messages.MAX_MESSAGE_BYTES))
    if not isinstance(task, Task):
        raise SystemExit("the first message must be the task")
    Child(connection, int(sys.argv[2])).run(task)


if __name__ == "__main__":
    main()
