"""`edgetl outputs test`: which outputs answered, as the engineer who wired them up wants to know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetl.benchmarks.ports import free_port
from tests.conftest import edgetl
from tests.runtime.outputs.brokers import listening, mosquitto

pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")


def test_each_output_answers_or_says_why_not(tmp_path: Path) -> None:
    dead, server = free_port(), free_port()
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        (tmp_path / "line.yaml").write_text(f"""
name: press-3
outputs:
- {{type: mqtt, address: "{broker.address}"}}
- {{type: csv, folder: "{tmp_path}/csv"}}
- {{type: sqlite, file: "{tmp_path}/results.db"}}
- {{type: modbus-server, address: "tcp://127.0.0.1:{server}"}}
- {{type: webhook, address: "http://127.0.0.1:{dead}/results"}}
- {{type: modbus-client, address: "tcp://127.0.0.1:{dead}"}}
- {{type: csv, name: nowhere, folder: /proc/no/such}}
""")
        done = edgetl("outputs", "test", "--config", tmp_path / "line.yaml", "--json")
        assert seen.of("/test") == [{"schema": 1, "device": "press-3", "test": "edgetl outputs test"}]
        assert seen.of("/status") == [], "a test does not pretend that the line runs"
    answers = {a["name"]: a for a in map(json.loads, done.stdout.splitlines())}
    assert [name for name, a in answers.items() if a["ok"]] == ["mqtt", "csv", "sqlite", "modbus-server"]
    assert "refused" in answers["webhook"]["detail"] and "no connection" in answers["modbus-client"]["detail"]
    assert done.returncode == 1
    assert done.stderr == "edgetl: E_OUTPUT: 3 of 7 outputs did not answer: webhook, modbus-client, nowhere\n"
    assert list((tmp_path / "csv").iterdir()) == []


def test_one_output_can_be_tried_alone_and_people_get_a_line_each(tmp_path: Path) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(
        f"outputs:\n- {{type: csv, folder: {tmp_path}/csv}}\n- {{type: webhook, address: 'http://127.0.0.1:1'}}\n"
    )
    done = edgetl("outputs", "test", "--config", config, "--only", "csv")
    assert done.returncode == 0 and done.stdout.startswith("ok     csv") and len(done.stdout.splitlines()) == 1
    unknown = edgetl("outputs", "test", "--config", config, "--only", "mqtt")
    assert unknown.returncode == 2 and "there are csv, webhook" in unknown.stderr
    config.write_text("source: 0\n")
    assert edgetl("outputs", "test", "--config", config).returncode == 2


@pytest.mark.fault("P5")
@pytest.mark.parametrize(
    "line",
    [
        "{type: mqtt, address: 'mqtt://press:s3cret@broker'}",
        "{type: mqtt, address: 'mqtt://press:s3cret/x@broker'}",
        "{type: webhook, address: 'https://press:s3cret@mes/results'}",
        "{type: webhook, address: 'https://mes:s3cret/results'}",
        "{type: mqtt, address: broker, password: s3cret}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(f"name: press-3\noutputs:\n- {line}\n")
    for command in (["outputs", "test", "--config", config], ["run", "none.edgetl", "--config", config, "--check"]):
        done = edgetl(*command)
        assert done.returncode == 2 and f"{config}:3: " in done.stderr, done.stderr
        assert "s3cret" not in done.stderr + done.stdout


@pytest.mark.fault("P5")
def test_a_token_in_an_address_is_used_and_not_shown(tmp_path: Path) -> None:
    config = tmp_path / "line.yaml"
    config.write_text("outputs:\n- {type: webhook, address: 'http://127.0.0.1:1/results?token=s3cret'}\n")
    done = edgetl("outputs", "test", "--config", config)
    assert done.returncode == 1 and "token=…" in done.stdout
    assert "s3cret" not in done.stderr + done.stdout


def test_a_missing_secret_names_the_variable(tmp_path: Path) -> None:
    config = tmp_path / "line.yaml"
    config.write_text("outputs:\n- {type: webhook, address: 'http://127.0.0.1:1/', token_env: EDGETL_NO_SUCH}\n")
    done = edgetl("outputs", "test", "--config", config)
    assert done.returncode == 1 and "EDGETL_NO_SUCH" in done.stdout
