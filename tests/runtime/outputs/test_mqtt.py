"""MQTT with a real Mosquitto: what a receiver sees, and that it misses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.runtime.outputs.config import Mqtt
from tests.runtime.outputs.brokers import cable, eventually, listening, mosquitto
from tests.runtime.outputs.conftest import Open

pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")


def test_results_state_and_counts_arrive(station: Open, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        line = station(Mqtt(address=broker.address, topic="plant/edgetl"))
        given = line.say(30) + line.say(1, "NG", reason=None)
        eventually(lambda: len(seen.numbers()) == 31)
        assert seen.numbers() == given
        assert {topic for topic, *_ in seen.got} == {
            f"plant/edgetl/press-3/{t}" for t in ("status", "counts", "result", "last")
        }
        assert seen.of("/status") == [
            {"schema": 1, "device": "press-3", "state": "online", "version": seen.of("/status")[0]["version"]}
        ]
        eventually(lambda: seen.of("/last")[-1]["sequence"] == given[-1])
        assert seen.of("/result")[-1]["verdict"] == "NG"
        eventually(lambda: line.health("mqtt").delivered == 31)
        assert line.health("mqtt").ok and line.health("mqtt").waiting == 0


@pytest.mark.fault("T3")
def test_counts_say_whether_the_line_is_ready_and_that_the_processor_is_throttled(
    station: Open, tmp_path: Path
) -> None:
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        line = station(Mqtt(address=broker.address, heartbeat_s=0.1))
        eventually(lambda: seen.of("/counts"))
        first = seen.of("/counts")[0]
        assert (first["ready"], first["throttled"], first["state"]) == (False, "", "running")
        line.board.tell(throttled="under-voltage, throttled")
        line.board.progress(trusted=True)
        eventually(lambda: seen.of("/counts")[-1]["ready"])
        eventually(lambda: seen.of("/counts")[-1]["throttled"] == "under-voltage, throttled")


def test_who_comes_later_finds_the_state_and_who_stays_sees_us_leave(station: Open, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        line = station(Mqtt(address=broker.address))
        (number,) = line.say()
        eventually(lambda: line.health("mqtt").delivered == 1)
        with listening(broker) as late:
            eventually(lambda: late.of("/last") and late.of("/counts"))
            assert all(retained for *_, retained in late.got)
            assert late.of("/last")[0]["sequence"] == number
            line.outputs.close()
            eventually(lambda: late.of("/status")[-1]["state"] == "offline")


def test_a_station_that_dies_is_called_offline_by_the_broker(tmp_path: Path) -> None:
    """A process that is killed cannot say good-bye: the last will does."""
    program = """
import sys, time
from pathlib import Path
from edgetl.runtime.outputs.config import Mqtt
from tests.runtime.outputs.conftest import Station
line = Station(Mqtt(address=sys.argv[1]), folder=Path(sys.argv[2]))
line.say(3)
time.sleep(60)
"""
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        child = subprocess.Popen([sys.executable, "-c", program, broker.address, str(tmp_path / "spool")])
        try:
            eventually(lambda: len(seen.numbers()) == 3)
        finally:
            child.kill()
            child.wait()
        eventually(lambda: seen.of("/status")[-1]["state"] == "offline")


def test_home_assistant_can_build_every_sensor_from_what_is_sent(station: Open, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        line = station(Mqtt(address=broker.address, home_assistant=True))
        line.say(2)
        eventually(lambda: seen.of("/config") and seen.of("/counts") and seen.of("/last"))
        assert [t for t, *_ in seen.got if t.endswith("/config")] == ["homeassistant/device/edgetl_press-3/config"]
        (config,) = seen.of("/config")
        assert config["device"]["identifiers"] == ["edgetl_press-3"] and config["origin"]["name"] == "edgetl"
        kinds = {component["platform"] for component in config["components"].values()}
        assert kinds == {"sensor", "binary_sensor"}
        names = [component["unique_id"] for component in config["components"].values()]
        assert len(set(names)) == len(names) >= 10
        sent = {topic: json.loads(payload) for topic, payload, _ in seen.got}
        for component in config["components"].values():
            key = component["value_template"].partition("value_json.")[2].split()[0].split(")")[0]
            value = sent[component["state_topic"]]
            for step in key.split("."):
                value = value[step]


@pytest.mark.fault("N1")
def test_a_broker_that_was_away_gets_everything_and_nothing_twice(station: Open, tmp_path: Path) -> None:
    """Broken off in the middle of packets, again and again; a receiver that knows (device, sequence) sees each once."""
    with mosquitto(tmp_path) as broker, listening(broker) as seen, cable(broker) as line_to:
        line = station(Mqtt(address=line_to.address))
        given = line.say(20)
        eventually(lambda: len(set(seen.numbers())) == 20)
        for _ in range(3):
            line_to.cut_after = line_to.bytes_up + 9000
            given += line.say(200)
            eventually(lambda: not line.health("mqtt").ok)
            assert line.health("mqtt").waiting > 0
            line_to.plug()
            eventually(lambda: line.health("mqtt").ok)
        eventually(lambda: set(seen.numbers()) == set(given))
        eventually(lambda: line.health("mqtt").waiting == 0)
        assert list(dict.fromkeys(seen.numbers())) == given, "in their order, but for repetitions"
        assert seen.of("/gap") == []
        assert len(seen.numbers()) - len(given) <= 3 * 20, "no more repeated than was in flight"


def test_a_broker_that_crashes_is_found_again(station: Open, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        line = station(Mqtt(address=broker.address))
        line.say(5)
        eventually(lambda: line.health("mqtt").delivered == 5)
        broker.kill()
        given = line.say(100)
        eventually(lambda: not line.health("mqtt").ok)
        broker.start()
        with listening(broker) as seen:
            given += line.say(1)
            eventually(lambda: line.health("mqtt").waiting == 0 and line.health("mqtt").ok)
            eventually(lambda: given[-1] in seen.numbers())
        assert line.health("mqtt").delivered == 5 + len(given)


def test_login_by_environment_and_what_a_broker_may_not_be_told(station: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "press", "s3cret-word"], check=True)
    settings = f"allow_anonymous false\npassword_file {passwords}"
    with mosquitto(tmp_path, settings) as broker:
        config = Mqtt(address=broker.address, username="press", password_env="EDGETL_TEST_PASSWORD")
        monkeypatch.setenv("EDGETL_TEST_PASSWORD", "s3cret-word")
        line = station(config)
        line.say()
        eventually(lambda: line.health("mqtt").delivered == 1)
        line.outputs.close()
        monkeypatch.setenv("EDGETL_TEST_PASSWORD", "wr0ng-word")
        line = station(config)
        eventually(lambda: "not authorized" in line.health("mqtt").detail)
        assert "word" not in caplog.text and "word" not in line.health("mqtt").detail
