"""The page's server, asked over HTTP as a browser, a scraper and an intruder would."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetl.errors import UsageError
from edgetl.runtime.config import load_line
from tests.runtime.page.station import HASH, PASSWORD, Station, station, until

VIEWS = ("/api/status", "/api/history", "/live.jpg", "/rejects/1.jpg", "/rejects/1/thumbnail.jpg", "/rejects/1/heat.jpg",
         "/api/settings")  # fmt: skip


@pytest.fixture
def open_station(tmp_path: Path) -> Iterator[Station]:
    """A page without a password, which this machine alone can reach."""
    with station(tmp_path) as made:
        yield made


@pytest.fixture
def locked_station(tmp_path: Path) -> Iterator[Station]:
    """A page with a password."""
    with station(tmp_path, password=HASH) as made:
        yield made


def test_page_is_whole_and_takes_nothing_from_elsewhere(open_station: Station) -> None:
    client = open_station.client
    page = client.get("/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert page.headers["x-frame-options"] == "DENY" and page.headers["cache-control"] == "no-store"
    text = page.body.decode()
    assert "://" not in text and "style=" not in text and "onclick" not in text
    for name in ("page.css", "page.js", "live.js", "chart.js", "settings.js", "basics.js", "icon.svg"):
        answer = client.get(f"/static/{name}")
        assert answer.status == 200 and len(answer.body) > 100
        assert "://" not in answer.body.decode().replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "page.py", "", ".", "nothing.js"])
def test_static_gives_the_pages_files_only(open_station: Station, name: str) -> None:
    answer = open_station.client.get(f"/static/{name}")
    assert answer.status == 404 and b"import" not in answer.body


def test_status_tells_the_line(open_station: Station) -> None:
    for colour, kind in (("red", "NG"), ("green", "OK"), ("green", "OK")):
        open_station.show(colour, kind, colour)
    view = open_station.client.get("/api/status").json
    assert view["status"]["verdicts"] == {"OK": 2, "NG": 1, "UNKNOWN": 0, "FAULT": 0}
    assert view["status"]["last"][0]["sequence"] == 3
    assert view["health"]["ok"] is True
    assert view["drift"]["phase"] == "learning"
    assert until(lambda: open_station.client.get("/api/status").json["rejects"])[0]["sequence"] == 1
    assert open_station.client.get("/api/history").json["minutes"] == [[0, 2, 1, 0, 0]]


def test_live_picture_comes_with_its_verdict(open_station: Station) -> None:
    client = open_station.client
    stop = threading.Event()

    def parts_pass() -> None:
        while not stop.wait(0.05):
            open_station.show("blue", "NG", "blue")

    passing = threading.Thread(target=parts_pass)
    passing.start()
    try:
        first = client.get("/live.jpg?width=320")
        facts = json.loads(unquote(first.headers["x-frame"]))
        second = client.get(f"/live.jpg?width=320&after={facts['number']}")
    finally:
        stop.set()
        passing.join()
    image = cv2.imdecode(np.frombuffer(first.body, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (80, 96, 3) and image[40, 48, 0] > 200
    assert facts["size"] == [96, 80] and facts["verdict"]["label"] == "blue"
    assert json.loads(unquote(second.headers["x-frame"]))["number"] > facts["number"]


def test_frame_that_is_missing_is_told_and_not_faked(open_station: Station) -> None:
    answers = []
    asking = threading.Thread(target=lambda: answers.append(open_station.client.get("/live.jpg")))
    asking.start()
    until(lambda: open_station.show("grey", "FAULT", None) or not asking.is_alive())
    asking.join()
    assert answers[0].headers["content-type"].startswith("text/plain") and answers[0].body == b""
    assert json.loads(unquote(answers[0].headers["x-frame"]))["fault"] == "unplugged"


def test_reject_has_picture_thumbnail_and_heat_map(open_station: Station) -> None:
    open_station.show("red", "NG", "red")
    client = open_station.client
    until(lambda: client.get("/rejects/1.jpg").status == 200)
    assert client.get("/rejects/1/thumbnail.jpg").body[:2] == b"\xff\xd8"
    heat = until(lambda: (a := client.get("/rejects/1/heat.jpg")).status == 200 and a)
    assert heat.body[:2] == b"\xff\xd8" and unquote(heat.headers["x-said"]).startswith("red: ")
    for path in ("/rejects/2.jpg", "/rejects/2/heat.jpg", "/rejects/-1.jpg", "/rejects/99999999999999999999.jpg"):
        assert client.get(path).status == 404


def test_health_is_503_with_the_reason(open_station: Station) -> None:
    open_station.show()
    assert open_station.client.get("/healthz").status == 200
    open_station.board.tell(state="failed", error="source: unplugged")
    answer = open_station.client.get("/healthz")
    assert answer.status == 503 and answer.json["reasons"] == ["the line is failed: source: unplugged"]


def test_metrics_are_read_by_prometheus(open_station: Station) -> None:
    open_station.show("green", "OK", "green")
    answer = open_station.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {s.name for f in text_string_to_metric_families(answer.body.decode()) for s in f.samples}
    assert {"edgetl_info", "edgetl_verdicts_total", "edgetl_source_up"} <= found


def test_without_pictures_there_are_metrics_and_health_only(tmp_path: Path) -> None:
    with station(tmp_path, pictures=False) as made:
        made.show()
        assert [made.client.get(p).status for p in ("/healthz", "/metrics", "/", *VIEWS)] == [200, 200, 404, *[404] * 7]


def test_nothing_can_be_set_without_a_password(open_station: Station, tmp_path: Path) -> None:
    client = open_station.client
    assert client.get("/api/session").json["can_sign_in"] is False
    assert client.sign_in("").status == 401
    version = client.get("/api/settings").json["version"]
    assert client.post("/api/settings", {"version": version, "settings": {}}).status == 403
    assert client.post("/api/drift/relearn", {}).status == 403


def test_stranger_sees_nothing_of_a_locked_page(locked_station: Station) -> None:
    locked_station.show()
    client = locked_station.client
    assert [client.get(path).status for path in VIEWS] == [401] * len(VIEWS)
    assert client.get("/metrics").status == 401
    health = client.get("/healthz")
    assert (health.status, health.json) == (200, {"ok": True})
    assert client.get("/").status == 200
    assert client.get("/api/session").json == {
        "may_view": False, "signed_in": False, "can_sign_in": True, "can_set": True, "csrf": None
    }  # fmt: skip


def test_view_can_be_open_while_setting_is_not(tmp_path: Path) -> None:
    with station(tmp_path, password=HASH, view="anyone") as made:
        client = made.client
        assert client.get("/api/status").status == 200
        assert client.post("/api/drift/relearn", {}).status == 403


def test_session_is_kept_in_a_cookie_that_scripts_and_other_sites_do_not_get(locked_station: Station) -> None:
    client = locked_station.client
    assert client.sign_in(PASSWORD).status == 200
    for mark in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert mark in client.set_cookie
    assert client.get("/api/status").status == 200
    token = client.cookie
    assert client.post("/api/sign-out", {}).status == 200
    client.cookie = token
    assert client.get("/api/status").status == 401


def test_change_needs_the_sessions_mark_and_our_own_page(locked_station: Station) -> None:
    client = locked_station.client
    client.sign_in(PASSWORD)
    good = client.csrf
    for mark in (None, "", "x" * 43):
        client.csrf = mark
        assert client.post("/api/drift/relearn", {}).status == 403
    client.csrf = good
    assert client.post("/api/drift/relearn", {}, Origin="http://evil.example").status == 403
    assert client.post("/api/drift/relearn", {}, Sec_Fetch_Site="cross-site").status == 403
    assert client.post("/api/drift/relearn", {}).status == 200


def test_form_of_another_site_cannot_sign_in(locked_station: Station) -> None:
    client = locked_station.client
    assert client.sign_in(PASSWORD, Origin="http://evil.example").status == 403
    assert client.sign_in(PASSWORD, Content_Type="text/plain").status == 415


def test_guessing_is_slowed_down(locked_station: Station) -> None:
    client = locked_station.client
    statuses = [client.sign_in(f"guess {n}").status for n in range(8)]
    assert statuses[:5] == [401] * 5 and 429 in statuses[5:]
    waiting = client.sign_in(PASSWORD)
    assert waiting.status == 429 and int(waiting.headers["retry-after"]) >= 1


def test_scraper_signs_in_with_http_basic(locked_station: Station) -> None:
    client = locked_station.client

    def basic(password: str) -> str:
        return "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()

    assert client.get("/metrics", Authorization=basic(PASSWORD)).status == 200
    for wrong in (basic("wrong"), "Basic !", "Bearer x", "Basic /w=="):
        answer = client.get("/metrics", Authorization=wrong)
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Basic"
    assert client.get("/api/status", Authorization=basic(PASSWORD)).status == 401


def test_page_of_another_name_cannot_be_put_before_ours(open_station: Station) -> None:
    client = open_station.client
    assert client.get("/api/status", Host="evil.example").status == 400
    assert client.get("/api/status", Host="localhost:1").status == 200


SETTINGS = {"min_score": 0.75, "regions": [{"name": "left", "box": [0, 0, 0.5, 1], "expect": "green"}]}


def test_settings_are_written_checked_and_taken_over(tmp_path: Path) -> None:
    reloads: list[bool] = []
    with station(tmp_path, password=HASH, reload=lambda: bool(reloads.append(True)) or True) as made:
        client = made.client
        client.sign_in(PASSWORD)
        shown = client.get("/api/settings").json
        assert shown["labels"] == ["red", "green", "blue"]
        answer = client.post("/api/settings", {"version": shown["version"], "settings": SETTINGS})
        assert (answer.status, answer.json) == (200, {"applied": True}), answer.body
        config = load_line(tmp_path / "line.yaml")
        assert config.min_score == 0.75 and config.regions[0].name == "left"
        assert "# cell 4" in (tmp_path / "line.yaml").read_text()
        assert (tmp_path / "line.yaml.previous").read_text() == "# cell 4\n"
        assert reloads == [True]
        again = client.post("/api/settings", {"version": shown["version"], "settings": {}})
        assert again.status == 409 and "meanwhile" in again.json["error"]
        assert reloads == [True]


@pytest.mark.parametrize(
    "settings",
    [
        {"min_score": 1.5},
        {"min_score": "high"},
        {"unknown": 1},
        {"regions": [{"name": "a", "box": [0.5, 0, 0.2, 1]}]},
        {"regions": [{"name": "a", "box": [0, 0, 1, 1], "expect": "purple"}]},
        {"regions": [{"name": "a", "box": [0, 0, 1, 1], "colour": "x"}]},
        {"regions": [{"name": "a" * 70_000, "box": [0, 0, 1, 1]}]},
    ],
)
def test_wrong_settings_are_refused_in_words_and_not_written(
    locked_station: Station, tmp_path: Path, settings: object
) -> None:
    client = locked_station.client
    client.sign_in(PASSWORD)
    version = client.get("/api/settings").json["version"]
    answer = client.post("/api/settings", {"version": version, "settings": settings})
    assert answer.status in (413, 422) and answer.json["error"]
    assert (tmp_path / "line.yaml").read_text() == "# cell 4\n"


def test_line_without_a_file_cannot_be_set(tmp_path: Path) -> None:
    with station(tmp_path, password=HASH, config=None) as made:
        client = made.client
        client.sign_in(PASSWORD)
        assert client.get("/api/session").json["can_set"] is False
        assert client.get("/api/settings").status == 404
        assert client.post("/api/settings", {"version": "", "settings": {}}).status == 404


def test_port_in_use_is_told_in_one_line(open_station: Station, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        from edgetl.runtime.page.server import Server
        from edgetl.runtime.page.settings import PageSettings

        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
            Server(lambda *_: None, PageSettings(port=port))  # type: ignore[arg-type]


def test_many_who_wait_do_not_keep_others_out(open_station: Station) -> None:
    """Viewers beyond the limit are sent away at once; the status is still answered."""
    answers: list[int] = []
    viewers = [
        threading.Thread(target=lambda: answers.append(open_station.client.get("/live.jpg").status)) for _ in range(12)
    ]
    for viewer in viewers:
        viewer.start()
    until(lambda: answers.count(503) == 4)
    assert open_station.client.get("/api/status").status == 200
    until(lambda: open_station.show() or not any(v.is_alive() for v in viewers))
    assert sorted(answers) == [200] * 8 + [503] * 4
