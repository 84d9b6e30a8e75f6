"""Asks a device until the connection holds; each question may be asked twice without harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from edgetl.errors import BusyError, HostKeyError, TransportError
from edgetl.flasher.agent import Agent

T = TypeVar("T")
TRIES = 5
_LOOK_EVERY_S = 2.0


class Retrying:
    """Asks one device. `sleep` lets time pass between tries, seconds; `wait_s`: how long the device may be at work on
    a question whose answer was lost, before that counts as a failure. `lost`: whose questions those are; our own, and
    those of a process that died."""

    def __init__(self, agent: Agent, sleep: Callable[[float], None] = time.sleep) -> None:
        self.agent = agent
        self.wait_s = 60.0
        self.lost = {agent.owner}
        self._sleep = sleep

    def ask(self, arguments: list[str], kind: type[T], content: Iterable[bytes] = (), timeout_s: float = 60.0) -> T:
        """One question in the owner's name, asked once."""
        return self.agent.ask([*arguments, "--owner", self.agent.owner], kind, content, timeout_s)

    def again(self, question: Callable[[], T]) -> T:
        """The answer to a question that is asked until it arrives.

        Raises TransportError after five broken connections, HostKeyError at once, BusyError if somebody else holds the
        device, or if it is at work on a lost question for longer than `wait_s`.
        """
        broken, waited = 0, 0.0
        while True:
            try:
                return question()
            except HostKeyError:
                raise
            except TransportError:
                broken += 1
                if broken == TRIES:
                    raise
                self.pause(broken)
            except BusyError as error:
                if not any(f"busy by {owner} " in str(error) for owner in self.lost) or waited >= self.wait_s:
                    raise
                waited += _LOOK_EVERY_S
                self._sleep(_LOOK_EVERY_S)

    def pause(self, broken: int) -> None:
        """Waits before the next try, the longer the more connections broke: 1, 2, 4, 8 s."""
        self._sleep(2.0 ** (broken - 1))
