"""The line as an OPC UA server; its nodes are documented in docs/outputs.md."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from edgetl.errors import OutputError
from edgetl.runtime.outputs.bulletin import Board, Bulletin
from edgetl.runtime.outputs.config import OpcUaServer
from edgetl.runtime.outputs.event_loop import ServerThread
from edgetl.runtime.outputs.opcua_nodes import NODES, values
from edgetl.runtime.outputs.secrets import read_secret
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict, to_json

_HEARTBEAT_S = 1.0
_WAITING = 256  # verdicts; what falls further behind is of no use to a controller, and memory has an end
_NAMESPACE = "urn:edgetl"


class OpcUaServerOutput:
    """Publishes every verdict as changed variables; clients subscribe to them."""

    def __init__(self, config: OpcUaServer, station: str, board: Board) -> None:
        self._config = config
        self._station = station
        self._bulletin = Bulletin(board, config.safe_state)
        self._news: asyncio.Queue[Verdict] = asyncio.Queue()
        self._dropped = 0
        self._written: dict[str, str] = {}
        self._thread = ServerThread(config.title, self._serve)

    def start(self) -> None:
        """Opens the port; loading the standard's own nodes takes a second or two."""
        self._thread.start()

    def show(self, verdict: Verdict) -> None:
        """Has the variables written; the oldest that waits goes when there are too many."""
        self._thread.call(lambda: self._take(verdict))

    def _take(self, verdict: Verdict) -> None:
        if self._news.qsize() >= _WAITING:
            self._news.get_nowait()
            self._dropped += 1
        self._news.put_nowait(verdict)

    def health(self) -> SinkHealth:
        """Whether the port is open, and keeps up."""
        return msgspec.structs.replace(self._thread.health(), waiting=self._news.qsize(), dropped=self._dropped)

    def close(self, timeout_s: float) -> None:
        """Shows the safe state and closes the port."""
        self._bulletin.end()
        self._thread.close(timeout_s)

    @contextlib.asynccontextmanager
    async def _serve(self, stop: asyncio.Event) -> AsyncIterator[None]:
        logging.getLogger("asyncua").setLevel(logging.ERROR)  # it reports every session; health tells what matters
        server = await self._server()
        self._written.clear()
        nodes = await self._nodes(server)
        try:
            await server.start()
        except OSError as error:
            raise OutputError(
                f"{self._config.where}: the port cannot be opened: {(error.strerror or str(error)).lower()}"
            ) from error
        writing = asyncio.create_task(self._write_news(nodes))
        try:
            yield
            await self._write(nodes, "")
        finally:
            writing.cancel()
            await server.stop()

    async def _server(self) -> Any:
        from asyncua import Server, ua

        config = self._config
        users = (
            _Users(config.username, read_secret(config.password_env, config.password_file)) if config.username else None
        )
        server = Server(user_manager=users)
        await server.init()
        server.set_endpoint(config.address)
        server.set_server_name(f"edgetl {self._station}")
        if config.cert is not None and config.key is not None:
            await server.load_certificate(config.cert, format=_format(config.cert))
            await server.load_private_key(config.key, format=_format(config.key))
            server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        else:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        return server

    async def _nodes(self, server: Any) -> dict[str, Any]:
        from asyncua import ua

        space = await server.register_namespace(_NAMESPACE)
        station = await server.nodes.objects.add_object(
            ua.NodeId(self._station, space), ua.QualifiedName(self._station, space)
        )
        folders: dict[str, Any] = {}
        nodes: dict[str, Any] = {}
        for path, (kind, value) in NODES.items():
            folder, _, name = path.partition(".")
            if folder not in folders:
                folders[folder] = await station.add_object(
                    ua.NodeId(f"{self._station}.{folder}", space), ua.QualifiedName(folder, space)
                )
            node = ua.NodeId(f"{self._station}.{path}", space)
            nodes[path] = await folders[folder].add_variable(
                node, ua.QualifiedName(name, space), value, getattr(ua.VariantType, kind)
            )
        return nodes

    async def _write_news(self, nodes: dict[str, Any]) -> None:
        await self._write(nodes, "")
        clock = asyncio.get_running_loop().time
        beat_at = clock() + _HEARTBEAT_S
        while True:
            verdict = await self._next(beat_at - clock())
            if verdict is not None:
                self._bulletin.show(verdict)
            if clock() >= beat_at:  # however many verdicts come meanwhile
                self._bulletin.beat()
                beat_at = clock() + _HEARTBEAT_S
            await self._write(nodes, None if verdict is None else to_json(verdict))

    async def _next(self, timeout_s: float) -> Verdict | None:
        """The oldest verdict that was not written yet; None when none came in time."""
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self._news.get(), max(0.0, timeout_s))
        return None

    async def _write(self, nodes: dict[str, Any], json: str | None) -> None:
        """Writes what is so now; a variable that did not change says nothing to subscribers."""
        from asyncua import ua

        now = values(self._bulletin.notice(), self._bulletin.status(), self._bulletin.bits(), self._bulletin.heartbeat)
        if json is not None:
            now["Result.Json"] = json  # last, so that it announces the others
        changed = {
            path: value for path, value in now.items() if repr(value) != self._written.get(path)
        }  # repr: NaN is NaN
        for path, value in changed.items():
            kind = getattr(ua.VariantType, NODES[path][0])
            await nodes[path].write_value(ua.DataValue(ua.Variant(value, kind)))
            self._written[path] = repr(value)


def _format(path: str) -> str:
    """`pem` or `der`, from the file and not from its name."""
    with Path(path).open("rb") as file:
        return "pem" if file.read(10) == b"-----BEGIN" else "der"


class _Users:
    """Lets one user in, to read."""

    def __init__(self, username: str, password: str | None) -> None:
        self._login = (username, password)

    def get_user(self, iserver: Any, username: str | None = None, password: Any = None, certificate: Any = None) -> Any:
        """asyncua's interface: a user, or None to refuse."""
        import hmac

        from asyncua.server.user_managers import User, UserRole

        given = (username or "", password.decode() if isinstance(password, bytes) else password or "")
        wanted = (self._login[0], self._login[1] or "")
        same = [hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, wanted, strict=True)]
        return User(role=UserRole.User, name=username) if all(same) else None
