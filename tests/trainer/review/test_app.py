"""`edgetl review` as a browser meets it: a real server, real requests."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetl.trainer.review.labels import Labels
from tests.cli.calling import call, refused
from tests.trainer.review.collected import fill
from tests.trainer.review.serving import serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "kept", [(1, "OK", 0.99), (2, "NG", 0.6), (3, "UNKNOWN", 0.45)])
    return tmp_path / "kept"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as found:
        yield found


def get(url: str, **headers: str) -> tuple[int, bytes]:
    return answered(urllib.request.Request(url, headers=headers))


def answered(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def give(address: str, content: dict[str, Any], **headers: str) -> int:
    body = json.dumps(content).encode()
    return answered(urllib.request.Request(f"{address}/api/answer", body, headers, method="POST"))[0]


def test_pictures_are_labelled_and_the_answers_are_on_the_disk(address: str, folder: Path) -> None:
    queue = json.loads(get(f"{address}/api/queue")[1])
    assert queue["labels"] == ["good", "scratch"]
    first = queue["items"][0]
    assert (first["verdict"], first["guess"], first["label"]) == ("UNKNOWN", "good", None)
    status, picture = get(f"{address}/picture/{first['picture']}")
    assert status == 200 and picture == (folder / first["picture"]).read_bytes()

    assert give(address, {"picture": first["picture"], "label": "scratch"}) == 200
    assert give(address, {"picture": queue["items"][1]["picture"], "label": None, "unusable": True}) == 200
    answers = Labels(folder)
    assert (answer := answers.of(first["picture"])) is not None and answer.label == "scratch"
    again = json.loads(get(f"{address}/api/queue")[1])
    assert {i["picture"]: (i["label"], i["unusable"]) for i in again["items"]}[first["picture"]] == ("scratch", False)

    assert give(address, {"picture": first["picture"], "label": "a new class"}) == 200
    assert json.loads(get(f"{address}/api/queue")[1])["labels"] == ["good", "scratch", "a new class"]


def test_what_others_ask_for_is_refused(address: str, folder: Path) -> None:
    (folder / "private.txt").write_text("mine")
    assert get(f"{address}/picture/private.txt")[0] == 404
    assert get(f"{address}/picture/..%2Fprivate.txt")[0] == 404
    assert get(f"{address}/labels.jsonl")[0] == 404
    assert get(f"{address}/", Host="evil.example")[0] == 400
    name = json.loads(get(f"{address}/api/queue")[1])["items"][0]["picture"]
    assert give(address, {"picture": name, "label": "good"}, Origin="http://evil.example") == 403
    assert give(address, {"picture": "none.png", "label": "good"}) == 404
    assert give(address, {"picture": name, "label": "../x"}) == 400
    assert give(address, {"picture": name, "label": 3}) == 400
    assert Labels(folder).of(name) is None


def test_a_folder_without_collected_pictures_says_where_they_come_from(tmp_path: Path) -> None:
    refused(call("review", tmp_path), 2, "E_USAGE", "no collected pictures", "edgetl pull")


def test_the_page_loads_nothing_from_elsewhere(address: str) -> None:
    for name in ("", "page.css", "page.js"):
        status, body = get(f"{address}/{name}")
        assert status == 200 and b"http://" not in body and b"https://" not in body
