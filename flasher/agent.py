"""The conversation with one device: typed questions, typed answers, errors as if they had happened here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from edgetl.errors import ProtocolError, error_of
from edgetl.flasher.transport import Completed, Transport
from edgetl.runtime.flashing.facts import PROTOCOLS, DeviceFacts

T = TypeVar("T")


class _Error(msgspec.Struct):
    code: str
    message: str


class _Reply(msgspec.Struct):
    answer: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class Agent:
    """edgetl on a device. `owner` is PID@HOST/MARK of this process, as the device will name it to others."""

    def __init__(self, transport: Transport, owner: str) -> None:
        self.transport = transport
        self.owner = owner
        self._protocol: int | None = None

    def facts(self) -> DeviceFacts:
        """How the device is; the first call agrees on a protocol. Raises ProtocolError if there is none in common."""
        facts = self.ask(["status"], DeviceFacts)
        self._protocol = common_protocol(self.transport.name, facts.protocols, facts.edgetl)
        return facts

    def ask(self, arguments: list[str], kind: type[T], content: Iterable[bytes] = (), timeout_s: float = 60.0) -> T:
        """One command and its answer. Raises what the device raised, with its name in front."""
        protocol = [] if self._protocol is None else ["--protocol", str(self._protocol)]
        done = self.transport.run([*arguments, *protocol], content, timeout_s)
        reply = self._reply(done)
        if reply.error is not None:
            raise error_of(reply.error.code, f"{self.transport.name}: {reply.error.message}")
        try:
            return msgspec.json.decode(reply.answer, type=kind)
        except msgspec.ValidationError as error:
            raise ProtocolError(f"{self.transport.name}: its answer is not understood here: {error}") from error

    def _reply(self, done: Completed) -> _Reply:
        lines = done.out.splitlines()
        try:
            return msgspec.json.decode(lines[-1] if lines else "", type=_Reply)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            if "No such command 'slot'" in done.err:
                raise ProtocolError(
                    f"{self.transport.name}: its edgetl is too old to be flashed; run: edgetl device init"
                ) from error
            said = (done.err.strip().splitlines() or ["nothing"])[-1]
            raise ProtocolError(
                f"{self.transport.name}: no answer that edgetl gives (exit code {done.code}): {said}"
            ) from error


def common_protocol(name: str, theirs: tuple[int, int], version: str, ours: tuple[int, int] = PROTOCOLS) -> int:
    """The highest protocol that both sides speak. Raises ProtocolError, which says who must be updated."""
    low, high = max(theirs[0], ours[0]), min(theirs[1], ours[1])
    if low <= high:
        return high
    who = "the device (edgetl device init)" if theirs[1] < ours[0] else "this workstation (pip install -U edgetl)"
    raise ProtocolError(
        f"{name}: its edgetl {version} speaks protocol {theirs[0]} to {theirs[1]}, this one {ours[0]} to {ours[1]}; update {who}"
    )
