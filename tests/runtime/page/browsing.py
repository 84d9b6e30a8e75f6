"""Chromium without a screen, for tests of pages as people meet them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver: make system")
DESKTOP, PHONE = (1440, 1000), (390, 844)


@contextmanager
def browser(size: tuple[int, int]) -> Iterator[Any]:
    """Chromium without a screen, of that many pixels."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield driver
    finally:
        driver.quit()


def text(driver: Any, selector: str) -> str:
    """What an element says; empty while it is being replaced."""
    from selenium.common.exceptions import StaleElementReferenceException

    try:
        found: str = driver.find_element("css selector", selector).text
    except StaleElementReferenceException:
        return ""
    return found


def drag_over_picture(driver: Any, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Drags a region in the opened settings: from a point, given from the middle, both as shares of the picture's size."""
    from selenium.webdriver.common.action_chains import ActionChains

    drawing = driver.find_element("id", "drawing")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", drawing)
    width, height = drawing.rect["width"], drawing.rect["height"]
    moved = ActionChains(driver).move_to_element_with_offset(drawing, int(start[0] * width), int(start[1] * height))
    moved.click_and_hold().move_by_offset(int(by[0] * width), int(by[1] * height)).release().perform()


def errors(driver: Any) -> list[str]:
    """What the browser complains of, apart from answers that we asked for."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE" and "401" not in e["message"]]
