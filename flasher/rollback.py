"""Back to the release in a device's other slot, once, however often the connection breaks."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgetl.errors import HostKeyError, TransportError
from edgetl.flasher.agent import Agent
from edgetl.flasher.retrying import TRIES, Retrying
from edgetl.runtime.flashing.facts import DeviceFacts
from edgetl.runtime.flashing.records import Installed


def roll_back(agent: Agent, sleep: Callable[[float], None] = time.sleep) -> Installed:
    """Goes back and returns the release that runs then. Raises FlashError if the other one cannot run, TransportError.

    A second rollback would undo the first, so after a broken connection the device is asked whether it took place.
    """
    device = Retrying(agent, sleep)
    before = device.again(agent.facts)
    device.wait_s = before.step_s
    for attempt in range(1, TRIES + 1):
        try:
            return device.ask(["rollback"], Installed, timeout_s=before.step_s)
        except HostKeyError:
            raise
        except TransportError:
            if attempt == TRIES:
                raise
            device.pause(attempt)
            device.again(lambda: device.ask(["leave"], object))  # is answered once the device is at work no more
            if (release := _gone_back(before, device.again(agent.facts))) is not None:
                return release
    raise AssertionError("unreachable: the last try returns or raises")


def _gone_back(before: DeviceFacts, now: DeviceFacts) -> Installed | None:
    """What runs now, if it is another slot than before."""
    return now.slots[now.current].release if now.current is not None and now.current != before.current else None
