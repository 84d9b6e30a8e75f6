"""A camera as a source: frames from its own process, and a fault at a bounded rate while there are none."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time

from edgetl.errors import MissingPartError, SourceError
from edgetl.runtime.capture import messages
from edgetl.runtime.capture.addresses import STREAMS
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.messages import Alive, Free, FromChild, Lost, Opened, Taken, Task
from edgetl.runtime.capture.ring import SLOTS, Ring, new_memory
from edgetl.runtime.capture.supervisor import Supervisor
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame, redacted
from edgetl.runtime.status import SourceHealth

FAULT_EVERY_S = 1.0
_SPARE_SLOTS = 3  # for the child: one being filled, and those on their way to and fro
_OLD_S = 0.5  # a frame that waited longer gives way to a newer one
_POLL_S = 0.2  # how soon `close` from another thread is noticed

_log = logging.getLogger("edgetl.camera")


class _Process:
    """One child with its socket and its slots."""

    def __init__(self, task: Task) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = new_memory()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgetl.runtime.capture.child", str(theirs.fileno()), str(memory)],
                pass_fds=(theirs.fileno(), memory), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                start_new_session=True, env=_environment(task.config),
            )  # fmt: skip
        self.ring = Ring(memory)
        os.close(memory)
        self.connection = ours
        self._held: set[int] = set()  # slots whose frames somebody still looks at
        self.pid = self._process.pid
        ours.send(messages.encode(task))

    def receive(self, timeout_s: float) -> FromChild | None:
        """The next message; None in vain. Raises EOFError once the child is gone."""
        self.connection.settimeout(timeout_s)
        try:
            data = self.connection.recv(messages.MAX_MESSAGE_BYTES)
        except TimeoutError:
            return None
        except OSError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        return messages.decode_from_child(data)

    def more_waits(self) -> bool:
        """Whether there is another message already."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def frame(self, taken: Taken) -> Image:
        """The frame in a slot. When most slots are held by somebody who keeps frames, it is copied out of its slot,
        so that keeping frames costs memory but never stops the camera."""
        self._held.add(taken.slot)
        image = self.ring.frame(taken.slot, taken.height, taken.width, self.give_back)
        return image.copy() if len(self._held) > SLOTS - _SPARE_SLOTS else image

    def give_back(self, slot: int) -> None:
        """The child may use a slot again; called by whoever drops the last reference to a frame, in any thread."""
        self._held.discard(slot)
        with contextlib.suppress(OSError):
            self.connection.send(messages.encode(Free(slot)), socket.MSG_DONTWAIT)

    def kill(self) -> str:
        """Ends the child and whatever it started, at once; says how it ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold it: it dies when the driver lets go
            self._process.wait(2.0)
        self.connection.close()
        return _ending(self._process.returncode)


def _environment(config: CameraConfig) -> dict[str, str]:
    # PYTHONSAFEPATH: modules that happen to lie in the working folder are not taken for Python's own.
    seconds = max(1, round(config.frame_timeout_s))
    return {**os.environ, "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": str(seconds), "PYTHONSAFEPATH": "1"}


def _ending(code: int | None) -> str:
    if code is None:
        return "does not end"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class Camera:
    """A V4L2, CSI, GStreamer or network camera. `read` never raises: while the camera is away it gives faults."""

    live = True
    triggered = False

    def __init__(self, address: str, config: CameraConfig | None = None) -> None:
        """Starts the camera's process. With `required_at_start` raises SourceError if the camera does not open."""
        config = config or CameraConfig(required_at_start=True)
        self.name = f"camera {address}" if address.isdecimal() else redacted(address)
        self._task = Task(address, config)
        self._supervisor = Supervisor(config)
        self._process: _Process | None = None
        self._index = self._came = 0
        self._reason: str | None = "the camera is being opened"  # why there are no frames; None while there are
        self._told = ""
        self._reconnects = -1  # the first connection is none
        self._fault_due_s = time.monotonic() + config.frame_timeout_s
        # Encoders of video skip what does not move; until their next whole picture the same numbers come again.
        self.still_limit_s = 10.0 if address.startswith(STREAMS) else 1.0
        self.every = 1  # only one frame in so many is given on, while the processor is too hot
        self._closed = False
        self.skipped = 0
        self._passed_before = 0  # frames that were passed over since the last one that was given on
        self._start()
        if config.required_at_start:
            self._wait_until_open()

    def read(self) -> Frame | None:
        """The next frame; a frame with a fault when none came in `frame_timeout_s`, and then every second."""
        while not self._closed:
            now_s = time.monotonic()
            if now_s >= self._fault_due_s:
                return self._late()
            self._act(now_s)
            message = self._next(min(_POLL_S, self._fault_due_s - now_s))
            frame = None if message is None else self._frame_of(message)
            if frame is not None:
                return frame
        return None

    def _act(self, now_s: float) -> None:
        action = self._supervisor.action(now_s)
        if action == "start":
            self._start()
        elif action == "kill" and self._process is not None and not self._process.more_waits():
            self._end("the camera's process hangs")  # and it is not this side that did not listen

    def _start(self) -> None:
        try:
            self._process = _Process(self._task)
        except OSError as error:  # no descriptors, processes or memory left: it is tried again like any other failure
            self._away(f"the camera's process cannot be started ({error.strerror})")
            self._supervisor.started(time.monotonic())
            self._supervisor.ended(time.monotonic())
            return
        self._supervisor.started(time.monotonic())

    def _end(self, why: str) -> None:
        assert self._process is not None
        how = self._process.kill()
        self._process = None
        self._supervisor.ended(time.monotonic())
        degraded = "; too many restarts, now one a minute" if self._supervisor.degraded else ""
        self._away(f"{why} ({how}); it is started anew{degraded}")

    def _next(self, timeout_s: float) -> FromChild | None:
        if self._process is None:
            time.sleep(max(0.0, min(timeout_s, _POLL_S)))
            return None
        try:
            message = self._process.receive(max(timeout_s, 0.001))
        except EOFError:
            self._end("the camera's process crashed")
            return None
        if message is not None:
            self._supervisor.heard(message, time.monotonic())
        return None if self._passed_over(message) else message

    def _passed_over(self, message: FromChild | None) -> bool:
        """Whether this frame is to be passed over: it waited here, while a model was loaded or the machine was busy,
        and newer ones wait too; or it is not the turn of one in `every`."""
        if not isinstance(message, Taken) or self._process is None:
            return False
        self._came += 1
        old = time.monotonic() - message.arrived_s >= _OLD_S and self._process.more_waits()
        if not old and self._came % self.every == 0:
            return False
        self._process.give_back(message.slot)
        self._pass_over(1 + message.skipped)
        return True

    def _pass_over(self, frames: int) -> None:
        self.skipped += frames
        self._passed_before += frames

    def _frame_of(self, message: FromChild) -> Frame | None:
        if isinstance(message, Taken | Lost | Alive):
            self._pass_over(message.skipped)
        if isinstance(message, Taken):
            return self._taken(message)
        if isinstance(message, Opened):
            self._opened(message)
        elif isinstance(message, Lost):
            if not message.camera_gone:
                return self._fault(message.reason)
            was_there = self._reason is None
            self._away(message.reason)
            return self._fault(message.reason) if was_there else None
        return None

    def _taken(self, message: Taken) -> Frame:
        assert self._process is not None
        self._reason = None
        self._fault_due_s = time.monotonic() + self._task.config.frame_timeout_s
        image = self._process.frame(message)
        return self._next_frame(image, message.arrived_s, None)

    def _next_frame(self, image: Image | None, arrived_s: float, reason: str | None) -> Frame:
        index, self._index = self._index, self._index + 1
        passed_over, self._passed_before = self._passed_before, 0
        return Frame(index, self.name, image, arrived_s, arrived_s, reason, passed_over=passed_over)

    def _opened(self, message: Opened) -> None:
        self._reconnects += 1
        self._told = "; ".join((message.told, *message.differs))
        _log.info("%s: open, %s", self.name, message.told)
        for difference in message.differs:
            _log.warning("%s: %s", self.name, difference)

    def _away(self, reason: str) -> None:
        if reason != self._reason:
            _log.warning("%s", self._named(redacted(reason)))
        self._reason = redacted(reason)

    def _late(self) -> Frame:
        if self._reason is None:
            self._away(f"no frame came for {self._task.config.frame_timeout_s:g} s")
        return self._fault(self._reason or "")

    def _fault(self, reason: str) -> Frame:
        now_s = time.monotonic()
        self._fault_due_s = now_s + FAULT_EVERY_S
        return self._next_frame(None, now_s, self._named(redacted(reason)))

    def _named(self, reason: str) -> str:
        """The reason, beginning with the camera's name once."""
        return reason if reason.startswith(f"{self.name}: ") else f"{self.name}: {reason}"

    def _wait_until_open(self) -> None:
        """Waits for the camera's first answer. Raises SourceError when it is not there."""
        while self._process is not None and self._supervisor.action(time.monotonic()) == "wait":
            message = self._next(_POLL_S)
            if isinstance(message, Opened):
                self._opened(message)
                self._fault_due_s = time.monotonic() + self._task.config.frame_timeout_s
                return
            if isinstance(message, Lost):
                self.close()
                error = MissingPartError if message.missing_part else SourceError
                raise error(self._named(redacted(message.reason)))
        reason = (
            self._reason if self._process is None else "the camera does not answer; check the cable and the address"
        )
        self.close()
        raise SourceError(self._named(reason or "the camera is not there"))

    def health(self) -> SourceHealth:
        """How the camera is; from any thread."""
        reason = self._reason
        return SourceHealth(
            name=self.name, ok=reason is None, detail=reason or self._told,
            reconnects=max(0, self._reconnects), restarts=max(0, self._supervisor.restarts), skipped=self.skipped,
        )  # fmt: skip

    def close(self) -> None:
        """Ends the camera's process."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
