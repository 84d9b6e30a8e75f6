"""`edgetl run --page`: the address is told, the page answers, and settings saved there are taken over by the line."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import edgetl
from tests.runtime.page.client import Client
from tests.runtime.page.station import HASH, PASSWORD, until

SOURCE = "sim:parts_per_minute=300,width=160,height=120"


class Running:
    """A line in a process of its own, and what it said on stderr so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        assert process.stderr is not None
        self._thread = threading.Thread(target=lambda: self.said.extend(iter(process.stderr.readline, "")))  # type: ignore[union-attr]
        self._thread.start()

    def pages(self) -> list[str]:
        """The addresses that were told, one for each start."""
        return re.findall(r"page at (\S+)", "".join(self.said))


@contextmanager
def running(*args: object) -> Iterator[Running]:
    """`edgetl run` until the end of the block."""
    command = [sys.executable, "-m", "edgetl", "run", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield Running(process)
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_settings_saved_on_the_page_are_taken_over_by_the_line(tiny_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(f"page:\n  port: 0\n  password: {HASH}\n  view: anyone\n")
    with running(
        tiny_bundle, "--config", config, "--source", SOURCE, "--interpreter", "litert", "--threads", 1
    ) as line:
        client = Client(until(line.pages, 60)[0])
        until(lambda: client.get("/healthz").status == 200, 60)
        assert client.sign_in(PASSWORD).status == 200
        version = client.get("/api/settings").json["version"]
        region = {"name": "middle", "box": [0.25, 0.25, 0.75, 0.75]}
        answer = client.post("/api/settings", {"version": version, "settings": {"regions": [region]}})
        assert answer.json == {"applied": True}
        client = Client(until(lambda: line.pages()[1:], 60)[0])
        last = until(lambda: client.get("/api/status").json["status"]["last"], 60)
        assert last[0]["regions"][0]["name"] == "middle"
        assert client.get("/api/session").json["signed_in"] is False
        assert "edgetl_verdicts_total" in client.get("/metrics").body.decode()


def test_page_for_others_needs_a_password(tiny_bundle: Path) -> None:
    done = edgetl("run", tiny_bundle, "--source", SOURCE, "--page", "0.0.0.0:0")
    assert done.returncode == 2
    assert "edgetl page-password" in done.stderr and "Traceback" not in done.stderr


def test_password_is_read_from_a_pipe_and_its_hash_printed() -> None:
    done = edgetl("page-password", input="a long enough one\n")
    assert done.returncode == 0 and done.stdout.startswith("scrypt$") and "enough" not in done.stdout
    short = edgetl("page-password", input="short\n")
    assert short.returncode == 2 and "at least 10" in short.stderr
