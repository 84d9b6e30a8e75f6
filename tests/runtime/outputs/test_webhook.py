"""Webhooks: a real HTTP server that takes, refuses, stalls and hangs up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgetl.runtime.outputs.config import Webhook
from tests.runtime.outputs.brokers import eventually
from tests.runtime.outputs.conftest import Open
from tests.runtime.servers import silent_server


class Receiver:
    """Keeps what it took; `answer` gives the status for a message."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.answer: Callable[[dict[str, Any]], int] = lambda message: 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = outer.answer(message)
                if status == 0:
                    self.close_connection = True
                    return
                if status == 200:
                    outer.taken.append(message)
                    outer.headers.append(dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/results"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def numbers(self) -> list[int]:
        return [m["sequence"] for m in self.taken if "verdict" in m]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_each_result_is_posted_once_in_order_on_one_connection(
    station: Open, receiver: Receiver, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret-word\n")
    line = station(Webhook(address=receiver.address, token_file=str(token)))
    given = line.say(50)
    eventually(lambda: line.health("webhook").delivered == 50)
    assert receiver.numbers() == given and receiver.connections == 1
    assert receiver.headers[0]["Authorization"] == "Bearer s3cret-word"
    assert receiver.headers[0]["Idempotency-Key"] == f"press-3-{given[0]}"


def test_a_receiver_that_fails_for_a_while_gets_everything(station: Open, receiver: Receiver) -> None:
    ills = iter([503, 500, 0, 0, 429, 200, 200, 0, 502])
    receiver.answer = lambda message: next(ills, 200)
    line = station(Webhook(address=receiver.address))
    given = line.say(20)
    eventually(lambda: line.health("webhook").delivered == 20, 60)
    assert list(dict.fromkeys(receiver.numbers())) == given


def test_what_a_receiver_never_takes_becomes_a_gap(station: Open, receiver: Receiver) -> None:
    receiver.answer = lambda message: 422 if message.get("verdict") == "FAULT" else 200
    line = station(Webhook(address=receiver.address))
    given = line.say(2) + line.say(1, "FAULT") + line.say(2)
    eventually(lambda: any("gap" in m for m in receiver.taken))
    (gap,) = [m for m in receiver.taken if "gap" in m]
    assert (gap["gap"], gap["first"], gap["last"], gap["lost"], gap["outputs"]) == (
        "HTTP 422",
        given[2],
        given[2],
        1,
        ["webhook"],
    )
    assert receiver.numbers() == given[:2] + given[3:]


@pytest.mark.fault("N6")
def test_what_is_too_large_goes_without_its_ballast(station: Open, receiver: Receiver) -> None:
    receiver.answer = lambda message: 413 if len(json.dumps(message)) > 1000 else 200
    line = station(Webhook(address=receiver.address))
    line.say(1, "NG", reason="x" * 5000)
    eventually(lambda: line.health("webhook").delivered == 1)
    assert receiver.taken[0]["reduced"] is True and receiver.taken[0]["verdict"] == "NG"


@pytest.mark.fault("N5")
def test_a_revoked_token_is_reported_and_not_insisted_on(station: Open, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    asked = []

    def answer(message: dict[str, Any]) -> int:
        asked.append(message)
        return 401

    receiver.answer = answer
    monkeypatch.setenv("EDGETL_TEST_TOKEN", "s3cret-word")
    line = station(Webhook(address=receiver.address, token_env="EDGETL_TEST_TOKEN"))
    line.say(5)
    eventually(lambda: "HTTP 401; check the token" in line.health("webhook").detail)
    assert len(asked) == 1 and "s3cret" not in line.health("webhook").detail
    assert line.health("webhook").waiting == 5


def test_a_receiver_that_never_answers_is_left_in_time(station: Open) -> None:
    with silent_server() as port:
        line = station(Webhook(address=f"http://127.0.0.1:{port}/", timeout_s=0.5))
        line.say(1)
        eventually(lambda: "no answer within 0.5 s" in line.health("webhook").detail)
