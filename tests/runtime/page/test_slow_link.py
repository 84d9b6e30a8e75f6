"""The live picture over a slow link, in a real browser whose network is held back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from tests.runtime.page.browsing import DESKTOP, browser, needs_browser, text
from tests.runtime.page.station import Station, station, until

pytestmark = needs_browser
BYTES_PER_SECOND = 40_000
# Notes each picture that the page's own script asks for; the script is the one that ships.
_WATCH = """
window.pictures = [];
const ask = window.fetch;
window.fetch = async (...given) => {
  const answer = await ask(...given);
  const address = new URL(answer.url);
  if (address.pathname === "/live.jpg" && answer.status === 200)
    window.pictures.push([Number(address.searchParams.get("width")), answer.headers.get("X-Frame")]);
  return answer;
};
"""


class Feed:
    """Large parts without end, ten a second: noise, which no JPEG makes small."""

    def __init__(self, made: Station) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(made,))
        self._thread.start()

    def _run(self, made: Station) -> None:
        noise = np.random.default_rng(0)
        pictures = [noise.integers(0, 256, (720, 1280, 3), np.uint8) for _ in range(4)]
        count = 0
        while not self._stop.wait(0.1):
            made.show(kind="OK", label="green", picture=pictures[count % 4])
            count += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def feeding(made: Station) -> Iterator[Feed]:
    feed = Feed(made)
    try:
        yield feed
    finally:
        feed.stop()


def pictures(driver: Any) -> list[tuple[int, int]]:
    """Width that was asked for and number of the frame, of every picture that came."""
    found = driver.execute_script("return window.pictures")
    return [(width, json.loads(unquote(facts))["number"]) for width, facts in found]


@pytest.mark.slow
def test_slow_link_gets_fewer_and_smaller_pictures_and_never_old_ones(tmp_path: Path) -> None:
    with station(tmp_path) as made, feeding(made) as feed, browser(DESKTOP) as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        driver.get(made.page.address)
        until(lambda: len(pictures(driver)) > 5)
        assert pictures(driver)[0][0] == 640
        conditions = {
            "offline": False, "latency": 100, "downloadThroughput": BYTES_PER_SECOND, "uploadThroughput": BYTES_PER_SECOND
        }  # fmt: skip
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
        until(lambda: pictures(driver)[-1][0] == 320, 120)
        begun = len(pictures(driver))
        until(lambda: len(pictures(driver)) >= begun + 5, 120)
        numbers = [number for _, number in pictures(driver)[begun:]]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] - numbers[0] > 2 * (len(numbers) - 1), "most frames are passed over"
        until(lambda: "320 px" in text(driver, "#link"))

        feed.stop()
        stopped = len(pictures(driver))
        answer = made.client.get("/live.jpg?after=0")
        newest = json.loads(unquote(answer.headers["x-frame"]))["number"]
        until(lambda: pictures(driver)[-1][1] == newest, 120)
        assert len(pictures(driver)) - stopped <= 2, "the one on its way and the newest: nothing is waiting in between"
