"""Brokers that do not keep their side: small servers that are silent, deaf, forgetful or full."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgetl.errors import AccessError, OutputError
from edgetl.runtime.outputs.config import Mqtt, Tls
from edgetl.runtime.outputs.pacing import pause_s
from tests.runtime.outputs.brokers import (
    CONNECT,
    PUBLISH,
    connack,
    eventually,
    listening,
    mosquitto,
    needs,
    puback,
    published,
    stub,
)  # fmt: skip
from tests.runtime.outputs.conftest import Open

pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")


def test_pauses_grow_are_drawn_and_are_long_where_access_was_refused() -> None:
    gone = OutputError("gone")
    assert [pause_s(gone, n, 1.0) for n in (1, 2, 3, 8, 100)] == [0.5, 1.0, 2.0, 60.0, 60.0]
    assert pause_s(gone, 3, 0.0) == 1.0
    assert pause_s(AccessError("no"), 1, 0.0) == 60.0


@pytest.mark.fault("N2")
def test_a_broker_that_never_acknowledges_gets_no_more_than_agreed_and_then_duplicates(station: Open) -> None:
    seen: list[tuple[int, str, int, bool]] = []  # connection, topic, message, duplicate
    lock = threading.Lock()

    def deaf(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection)
        elif head & 0xF0 == PUBLISH:
            topic, message, duplicate, _ = published(head, body)
            with lock:
                seen.append((len(broker.connections), topic, message, duplicate))
            if "/result" not in topic and message:
                puback(connection, message)

    with stub(deaf) as broker:
        line = station(Mqtt(address=broker.address, in_flight=5, acknowledge_s=1.0))
        line.say(100)
        eventually(lambda: len(broker.connections) >= 3)
        with lock:
            results = [s for s in seen if s[1].endswith("/result")]
        first = [s for s in results if s[0] == 1]
        again = [s for s in results if s[0] == 2]
        assert len(first) == 5 and not any(duplicate for *_, duplicate in first), "no more in flight than agreed"
        assert {(message, duplicate) for *_, message, duplicate in again} == {
            (message, True) for _, _, message, _ in first
        }
        assert "no acknowledgement within 1 s" in line.health("mqtt").detail
        assert line.health("mqtt").waiting == 100 and line.health("mqtt").delivered == 0


@pytest.mark.fault("N2")
def test_fewer_are_in_flight_where_the_broker_asks_for_it(station: Open) -> None:
    open_messages: set[int] = set()
    most = 0

    def narrow(connection: socket.socket, head: int, body: bytes) -> None:
        nonlocal most
        if head & 0xF0 == CONNECT:
            connack(connection, properties=b"\x21\x00\x03")  # Receive Maximum 3
        elif head & 0xF0 == PUBLISH:
            message = published(head, body)[1]
            if message:
                open_messages.add(message)
                most = max(most, len(open_messages))
                time.sleep(0.005)
                open_messages.discard(message)
                puback(connection, message)

    with stub(narrow) as broker:
        line = station(Mqtt(address=broker.address, in_flight=50))
        line.say(40)
        eventually(lambda: line.health("mqtt").delivered == 40)
        assert most <= 3


@pytest.mark.fault("N3")
def test_acknowledgements_that_come_twice_or_for_nothing_are_ignored(station: Open) -> None:
    """The fifth result gets none of its own at first, but that of the fourth again and one of nobody's."""
    got: list[int] = []
    held, released = threading.Event(), threading.Event()

    def muddled(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection)
        elif head & 0xF0 == PUBLISH:
            topic, message, _, _ = published(head, body)
            if topic.endswith("/result"):
                got.append(message)
            if len(got) == 5 and not held.is_set():
                puback(connection, got[3])
                puback(connection, 60000)
                held.set()
                released.wait(60)
            if message:
                puback(connection, message)
                puback(connection, message)

    with stub(muddled) as broker:
        line = station(Mqtt(address=broker.address, in_flight=1, acknowledge_s=120))
        line.say(12)
        assert held.wait(60)
        eventually(lambda: line.health("mqtt").delivered == 4)
        time.sleep(0.3)
        assert line.health("mqtt").delivered == 4 and len(got) == 5, "nothing counts for the fifth but its own"
        released.set()
        eventually(lambda: line.health("mqtt").delivered == 12)
        assert len(got) == len(set(got)) == 12 and line.health("mqtt").ok


@pytest.mark.fault("N4")
@pytest.mark.parametrize("kill_after", [10, 57, 120])
def test_killed_between_publishing_and_forgetting_it_sends_again(tmp_path: Path, kill_after: int) -> None:
    program = """
import sys, time
from pathlib import Path
from edgetl.runtime.outputs.config import Mqtt
from tests.runtime.outputs.conftest import Station
line = Station(Mqtt(address=sys.argv[1]), folder=Path(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    print(line.say(1)[0], flush=True)
    time.sleep(0.002)
line.outputs.close()
"""
    with mosquitto(tmp_path) as broker, listening(broker) as seen:
        command = [sys.executable, "-c", program, broker.address, str(tmp_path / "spool")]
        child = subprocess.Popen([*command, "100000"], stdout=subprocess.PIPE, text=True)
        eventually(lambda: len(seen.numbers()) >= kill_after)
        child.kill()
        first = [int(n) for n in child.communicate()[0].split()]
        eventually(lambda: seen.of("/status")[-1]["state"] == "offline")
        before = set(seen.numbers())
        done = subprocess.run([*command, "20"], capture_output=True, text=True, check=True, timeout=60)
        second = [int(n) for n in done.stdout.split()]
        eventually(lambda: set(second) <= set(seen.numbers()))
        assert not set(first) & set(second), "no number twice"
        assert before <= set(first) and set(seen.numbers()) <= set(first) | set(second)
        told = {n for gap in seen.of("/gap") for n in first if gap["first"] <= n <= gap["last"]}
        assert set(first) <= set(seen.numbers()) | told, "what was not stored yet is told as a gap"


@pytest.mark.fault("N5")
def test_revoked_access_is_reported_and_not_insisted_on(station: Open) -> None:
    def closed_shop(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection, reason=0x87)

    with stub(closed_shop) as broker:
        line = station(Mqtt(address=broker.address))
        given = line.say(3)
        eventually(lambda: "not authorized" in line.health("mqtt").detail)
        time.sleep(3.0)  # the first pauses after other failures are half a second, one and two
        assert len(broker.connections) == 1
        assert line.health("mqtt").waiting == len(given)


@pytest.mark.fault("N5")
def test_access_revoked_while_connected_is_reported(station: Open, tmp_path: Path) -> None:
    rights = tmp_path / "rights"
    rights.write_text("topic readwrite edgetl/press-3/status\ntopic readwrite edgetl/press-3/counts\n")
    with mosquitto(tmp_path, f"allow_anonymous true\nacl_file {rights}") as broker:
        line = station(Mqtt(address=broker.address))
        eventually(lambda: line.health("mqtt").ok)
        line.say(2)
        eventually(lambda: "access list" in line.health("mqtt").detail)
        assert line.health("mqtt").delivered == 0 and line.health("mqtt").waiting == 2


@pytest.mark.fault("N5")
def test_rights_that_are_given_later_are_found(tmp_path: Path) -> None:
    """The birth was refused first; the next connection says it anew."""
    from edgetl.runtime.outputs.mqtt import MqttDelivery
    from edgetl.runtime.status import LineStatus

    allowed = False

    def guard(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection)
        elif head & 0xF0 == PUBLISH and (message := published(head, body)[1]):
            puback(connection, message, 0 if allowed else 0x87)

    with stub(guard) as broker:
        delivery = MqttDelivery(Mqtt(address=broker.address, acknowledge_s=5), "press-3", LineStatus)
        with pytest.raises(AccessError, match="access list"):
            delivery.open()
        delivery.close()
        allowed = True
        delivery.open()
        assert delivery.deliver([]).count == 0
        delivery.leave()


def certificates(folder: Path, *validity: str) -> None:
    """An authority `ca.pem`, and a certificate for localhost that is valid from and to the given times."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "3650",
        "-subj",
        "/CN=plant",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    )
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"
    )
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
        "[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:localhost\n"
    )
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    openssl("ca", "-batch", "-config", "ca.conf", "-extensions", "e", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "server.csr",
            "-out", "server.pem", *validity)  # fmt: skip


@pytest.mark.fault("N5")
@pytest.mark.parametrize(
    ("validity", "says"),
    [
        (("-startdate", "20200101000000Z", "-enddate", "20200201000000Z"), "expired"),
        (("-startdate", "20990101000000Z", "-enddate", "20990201000000Z"), "not yet valid"),
        (("-days", "2"), ""),
    ],
)
def test_a_certificate_out_of_its_time_is_reported(station: Open, tmp_path: Path, validity: tuple[str, ...], says: str) -> None:  # fmt: skip
    needs("openssl")
    certificates(tmp_path, *validity)
    (tmp_path / "server.key").chmod(0o644)
    settings = f"allow_anonymous true\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key"
    with mosquitto(tmp_path, settings) as broker:
        line = station(Mqtt(address=f"mqtts://localhost:{broker.port}", tls=Tls(ca=str(tmp_path / "ca.pem"))))
        line.say()
        if says:
            eventually(lambda: says in line.health("mqtt").detail)
            assert line.health("mqtt").waiting == 1
        else:
            eventually(lambda: line.health("mqtt").delivered == 1)


@pytest.mark.fault("N6")
def test_a_result_above_the_brokers_limit_is_sent_without_its_ballast(station: Open, tmp_path: Path) -> None:
    from edgetl.runtime.verdict import RegionResult

    region = RegionResult(name="r" * 100, verdict="OK", label="good", score=0.5, expected=("good",), box=(0, 0, 9, 9))
    with mosquitto(tmp_path, "allow_anonymous true\nmax_packet_size 2000") as broker, listening(broker) as seen:
        line = station(Mqtt(address=broker.address))
        small = line.say(1)
        large = line.say(1, "NG", regions=(region,) * 100)
        more = line.say(1)
        eventually(lambda: line.health("mqtt").delivered == 3)
        eventually(lambda: seen.numbers() == small + large + more)
        reduced = seen.of("/result")[1]
        assert reduced["reduced"] is True and reduced["verdict"] == "NG" and "regions" not in reduced
        assert (reduced["device"], reduced["part"]) == ("press-3", large[0])
        assert "reduced" not in seen.of("/result")[2]


@pytest.mark.fault("N6")
def test_a_broker_that_hangs_up_on_size_gets_the_result_reduced(station: Open) -> None:
    """It did not say its limit beforehand, so that the first try is too large."""
    got: list[bytes] = []

    def strict(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection)
        elif head & 0xF0 == PUBLISH:
            topic, message, _, payload = published(head, body)
            if len(payload) > 1500:
                connection.sendall(bytes([0xE0, 2, 0x95, 0]))
                connection.shutdown(socket.SHUT_RDWR)
                return
            if topic.endswith("/result"):
                got.append(payload)
            if message:
                puback(connection, message)

    with stub(strict) as broker:
        line = station(Mqtt(address=broker.address, in_flight=4))
        given = line.say(1) + line.say(1, "NG", reason="x" * 5000) + line.say(2)
        eventually(lambda: line.health("mqtt").delivered == 4)
        assert all(any(b'"sequence":%d,' % n in payload for payload in got) for n in given)
        assert sum(b'"reduced":true' in payload for payload in got) >= 1
        assert len(broker.connections) == 2, "one try too many, and no more"


@pytest.mark.fault("N6")
def test_what_a_broker_never_takes_becomes_a_gap_and_the_rest_passes(station: Open) -> None:
    got: list[bytes] = []

    def choosy(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection)
        elif head & 0xF0 == PUBLISH:
            topic, message, _, payload = published(head, body)
            bad = b'"FAULT"' in payload
            if message:
                puback(connection, message, 0x99 if bad else 0)
            if not bad and topic.endswith(("/result", "/gap")):
                got.append(payload)

    with stub(choosy) as broker:
        line = station(Mqtt(address=broker.address, in_flight=4))
        given = line.say(3) + line.say(1, "FAULT") + line.say(3)
        eventually(lambda: any(b'"gap"' in payload for payload in got))
        eventually(lambda: line.health("mqtt").waiting == 0)
        assert line.health("mqtt").dropped == 1
        gap = next(payload for payload in got if b'"gap"' in payload)
        assert b'"first":%d,"last":%d,"lost":1' % (given[3], given[3]) in gap
        assert all(any(b'"sequence":%d,' % n in payload for payload in got) for n in given if n != given[3])


@pytest.mark.fault("N7")
def test_a_broker_that_closes_each_connection_is_not_stormed(station: Open) -> None:
    def shut(connection: socket.socket, head: int, body: bytes) -> None:
        if head & 0xF0 == CONNECT:
            connack(connection)
            connection.shutdown(socket.SHUT_RDWR)

    with stub(shut) as broker:
        line = station(Mqtt(address=broker.address))
        line.say(10)
        start, busy = time.monotonic(), time.process_time()
        eventually(lambda: len(broker.connections) >= 5, 60)
        busy, took = time.process_time() - busy, time.monotonic() - start
        pauses = [b - a for a, b in zip(broker.connections, broker.connections[1:], strict=False)]
        assert pauses[3] > pauses[0], "they grow"
        assert took > 0.25 + 0.5 + 1.0 + 2.0 - 0.1, "the shortest that the draws allow"
        assert busy < 0.05 * took, "processor time, not that of the wall"
        assert line.health("mqtt").waiting == 10
