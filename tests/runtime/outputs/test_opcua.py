"""OPC UA: what a client browses, reads and subscribes to; who is let in."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.outputs.config import OpcUaServer
from edgetl.runtime.outputs.opcua_nodes import NODES
from tests.runtime.outputs.brokers import DEADLINE_S, eventually, needs
from tests.runtime.outputs.conftest import Open

asyncua = pytest.importorskip("asyncua", reason="needs edgetl[line]")


def node(path: str) -> str:
    return f"ns=2;s=press-3.{path}"


async def read(url: str, *paths: str) -> list[Any]:
    async with asyncua.Client(url, timeout=DEADLINE_S) as client:
        return [await client.get_node(node(path)).read_value() for path in paths]


def test_a_client_reads_the_newest_verdict(station: Open) -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}/edgetl"
    line = station(OpcUaServer(address=url))
    eventually(lambda: line.health("opcua-server").ok)
    before = dict(zip(NODES, asyncio.run(read(url, *NODES)), strict=True))
    assert before["Result.Verdict"] == "" and before["Result.Reject"] is True and math.isnan(before["Result.Score"])
    line.say(2)
    (number,) = line.say(1, "NG")
    eventually(lambda: asyncio.run(read(url, "Result.Sequence")) == [number])
    after = dict(zip(NODES, asyncio.run(read(url, *NODES)), strict=True))
    assert (after["Result.Verdict"], after["Result.Pass"], after["Result.Reject"]) == ("NG", False, True)
    assert (after["Counts.OK"], after["Counts.NG"], after["State.State"]) == (2, 1, "running")
    assert json.loads(after["Result.Json"])["sequence"] == number
    assert after["Result.Score"] == 0.97 and after["Result.Part"] == number


class Seen:
    def __init__(self) -> None:
        self.values: list[str] = []

    def datachange_notification(self, node: Any, value: str, data: Any) -> None:
        if value:
            self.values.append(value)


def test_a_subscriber_gets_every_verdict(station: Open) -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}/edgetl"
    line = station(OpcUaServer(address=url))
    eventually(lambda: line.health("opcua-server").ok)

    async def watch() -> tuple[list[int], list[int]]:
        seen = Seen()
        async with asyncua.Client(url, timeout=DEADLINE_S) as client:
            subscription = await client.create_subscription(20, seen)
            await subscription.subscribe_data_change(client.get_node(node("Result.Json")), queuesize=100)
            given = await asyncio.to_thread(line.say, 25)
            for _ in range(1000):
                if len(seen.values) >= 25:
                    break
                await asyncio.sleep(0.02)
        return given, [json.loads(value)["sequence"] for value in seen.values]

    given, numbers = asyncio.run(watch())
    assert numbers == given


def certificate(folder: Path, name: str) -> tuple[str, str]:
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=URI:urn:{name},DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, "-keyout", key, "-out", cert], check=True, capture_output=True)  # fmt: skip
    return str(cert), str(key)


def test_with_a_password_only_the_right_one_comes_in_and_encrypted(station: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

    needs("openssl")
    server, server_key = certificate(tmp_path, "server")
    mine, mine_key = certificate(tmp_path, "client")
    monkeypatch.setenv("EDGETL_TEST_PASSWORD", "s3cret-word")
    url = f"opc.tcp://127.0.0.1:{free_port()}/edgetl"
    config = OpcUaServer(address=url, cert=server, key=server_key, username="plc", password_env="EDGETL_TEST_PASSWORD")
    line = station(config)
    eventually(lambda: line.health("opcua-server").ok)
    line.say()

    async def enter(password: str | None) -> int:
        client = asyncua.Client(url, timeout=DEADLINE_S)
        client.application_uri = "urn:client"
        await client.set_security(SecurityPolicyBasic256Sha256, mine, mine_key, server_certificate=server)
        if password is not None:
            client.set_user("plc")
            client.set_password(password)
        async with client:
            return int(await client.get_node(node("Result.Sequence")).read_value())

    assert eventually(lambda: asyncio.run(enter("s3cret-word"))) == 1
    for wrong in ("other", None):
        with pytest.raises(asyncua.ua.UaError):
            asyncio.run(enter(wrong))
    with pytest.raises((asyncua.ua.UaError, ConnectionError, asyncio.TimeoutError)):
        asyncio.run(read(url, "Result.Sequence"))
