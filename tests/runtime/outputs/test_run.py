"""`edgetl run` with outputs: what is said on the screen is what receivers get, over restarts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import edgetl
from tests.runtime import pictures as pic
from tests.runtime import tiny
from tests.runtime.outputs.brokers import eventually, listening, mosquitto


def test_every_verdict_of_two_runs_reaches_file_and_broker_once(tmp_path: Path, tiny_bundle: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")
    for number, colour in enumerate(["red", "green", "grey", "blue"]):
        pic.save(tmp_path / "parts" / f"{number}.png", tiny.plain(colour))
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        (tmp_path / "line.yaml").write_text(f"""
name: press-3
source: {tmp_path}/parts
spool: {{folder: {tmp_path}/spool}}
outputs:
- {{type: mqtt, address: "{broker.address}"}}
- {{type: csv, folder: {tmp_path}/csv}}
""")
        said = []
        for _ in range(2):
            done = edgetl("run", tiny_bundle, "--config", tmp_path / "line.yaml", "--json", "--interpreter", "litert")
            assert done.returncode == 0, done.stderr
            said += [json.loads(line) for line in done.stdout.splitlines()[:-1]]
        assert [v["sequence"] for v in said] == list(range(1, 9)), "numbers go on after a restart"
        assert {v["device"] for v in said} == {"press-3"} and all(v["time"].endswith("Z") for v in said)
        eventually(lambda: len(set(seen.numbers())) == 8)
        assert sorted({m["sequence"]: m for m in seen.of("/result")}.values(), key=lambda m: m["sequence"]) == said
        assert seen.of("/gap") == []
    with (tmp_path / "csv" / "results-000001.csv").open(newline="") as file:
        assert [(row["sequence"], row["verdict"]) for row in csv.DictReader(file)] == [
            (str(v["sequence"]), v["verdict"]) for v in said
        ]


def test_a_broker_that_is_away_keeps_no_line_from_running_or_ending(tmp_path: Path, tiny_bundle: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")
    pic.save(tmp_path / "parts" / "0.png", tiny.plain("green"))
    (tmp_path / "line.yaml").write_text(
        f"source: {tmp_path}/parts\nspool: {{folder: {tmp_path}/spool}}\noutputs:\n- {{type: mqtt, address: 'mqtt://127.0.0.1:1'}}\n"
    )
    done = edgetl("run", tiny_bundle, "--config", tmp_path / "line.yaml", "--json", "--interpreter", "litert")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["verdict"] == "OK"
    assert (tmp_path / "spool" / "spool.db").exists()
