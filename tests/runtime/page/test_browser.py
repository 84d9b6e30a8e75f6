"""The page in a real browser, driven as people would: it shows the line, and settings are drawn, checked and saved."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgetl.runtime.config import load_line
from edgetl.runtime.verdict import RegionResult
from tests.runtime.page.browsing import DESKTOP, PHONE, browser, drag_over_picture, errors, needs_browser, text
from tests.runtime.page.station import HASH, PASSWORD, Station, station, until

pytestmark = needs_browser


@contextmanager
def parts_passing(made: Station) -> Iterator[None]:
    """A part every tenth of a second: two red ones with a region each, then a green one."""
    stop = threading.Event()
    region = RegionResult(name="left", verdict="NG", label="red", score=0.9, expected=("green",), box=(8, 8, 40, 60))

    def run() -> None:
        while not stop.wait(0.1):
            made.show("red", "NG", "red", regions=(region,), reason="left: red, expected green")
            made.show("green", "OK", "green")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_line_is_shown(tmp_path: Path, size: tuple[int, int]) -> None:
    with station(tmp_path) as made, parts_passing(made), browser(size) as driver:
        driver.get(made.page.address)
        until(lambda: text(driver, "#verdict") in ("OK", "NG"))
        until(lambda: "inspecting" in text(driver, "#health"))
        until(lambda: int(text(driver, "#counts [data-kind=OK] b") or 0) > 0)
        until(lambda: text(driver, "#yield-now").endswith("%"))
        until(lambda: "pictures/s" in text(driver, "#link"))
        until(lambda: driver.execute_script("return document.querySelector('#frame').naturalWidth") == 96)
        until(lambda: driver.find_elements("css selector", "#rejects li img"))
        until(lambda: "left" in text(driver, "#overlay"))
        width = driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= size[0], "the page is wider than the screen"
        assert errors(driver) == []


def test_reject_is_looked_at_with_its_heat_map(tmp_path: Path) -> None:
    with station(tmp_path) as made, browser(DESKTOP) as driver:
        made.show("red", "NG", "red")
        driver.get(made.page.address)
        until(lambda: driver.find_elements("css selector", "#rejects li button"))[0].click()
        until(lambda: text(driver, "#reject .said").startswith("red: "))
        assert driver.execute_script("return document.querySelector('#reject .heat').naturalWidth") == 32
        assert text(driver, "#reject h2").startswith("NG · red 0.90")
        assert errors(driver) == []


def test_device_that_goes_away_is_told(tmp_path: Path) -> None:
    with browser(DESKTOP) as driver:
        with station(tmp_path) as made:
            made.show()
            driver.get(made.page.address)
            until(lambda: text(driver, "#verdict") == "NG")
        until(lambda: "No answer from the device" in text(driver, "#offline"))


def test_label_is_shown_as_text_and_never_as_markup(tmp_path: Path) -> None:
    label = "<img src=x onerror=document.title='owned'>"
    with station(tmp_path) as made, browser(DESKTOP) as driver:
        made.show("red", "NG", label)
        driver.get(made.page.address)
        until(lambda: label in text(driver, "#label"))
        until(lambda: driver.find_elements("css selector", "#rejects li button"))
        assert driver.title != "owned"


def test_regions_are_drawn_and_saved_by_someone_signed_in(tmp_path: Path) -> None:

    with station(tmp_path, password=HASH) as made, parts_passing(made), browser(DESKTOP) as driver:
        driver.get(made.page.address)
        field = until(lambda: driver.find_element("css selector", "#sign-in[open] [name=password]"))
        field.send_keys("not the password")
        field.submit()
        until(lambda: "not the password" in text(driver, "#sign-in .error"))
        field.send_keys(PASSWORD)
        field.submit()
        until(lambda: driver.find_element("id", "open-settings").is_displayed())
        driver.find_element("id", "open-settings").click()
        until(lambda: driver.execute_script("return document.querySelector('#settings .picture img').naturalWidth"))
        drag_over_picture(driver, (-0.3, -0.2), (0.5, 0.4))
        driver.find_element("name", "min_score").send_keys("0.8")
        driver.find_element("css selector", "#settings button[type=submit]").click()
        until(lambda: "the line has taken it over" in text(driver, "#settings .done"))
        assert errors(driver) == []
    config = load_line(tmp_path / "line.yaml")
    assert config.min_score == 0.8
    assert config.regions[0].box == pytest.approx((0.2, 0.3, 0.7, 0.7), abs=0.01)
