"""Takes the pictures of the page that the documents show: `python -m docs.take_screenshots BUNDLE [--out docs/images]`.

BUNDLE is what `edgetl demo` exports. A line is run with it over the drawn parts, once in good light and once under a
lamp that fades, and looked at with Chromium. Some minutes; look at what came out before you keep it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.page.gallery import shrunk
from edgetl.runtime.page.password import hashed
from tests.runtime.page.browsing import browser, drag_over_picture

PASSWORD = "only for the pictures"
QUALITY = 85
GOOD_LIGHT = "sim:parts=100000,parts_per_minute=60,seed=5"
FADING = "sim:parts=100000,parts_per_minute=120,seed=5,light_drift_per_minute=-0.12"
# The screen, and how wide the picture of it is in the documents.
DESKTOP, REJECT, SETTINGS, PHONE = (1440, 1130), (1200, 804), (1000, 1152), (390, 1290)
WIDTHS = {DESKTOP: 1280, REJECT: 900, SETTINGS: 800, PHONE: 390}


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/images"), show_default=True)
def main(bundle: Path, out: Path) -> None:
    """Writes page.jpg, page-reject.jpg, page-settings.jpg and page-phone.jpg."""
    with line(bundle, GOOD_LIGHT) as address:
        with page(address, DESKTOP, "dark") as driver:
            wait(lambda: count(driver, "OK") >= 50 and count(driver, "NG") >= 8, 300)
            wait(lambda: "nothing moved" in said(driver, "#drift-said"), 300)
            save(driver, out / "page.jpg", WIDTHS[DESKTOP])
        with page(address, REJECT, "dark") as driver:
            wait(lambda: driver.find_elements("css selector", "#rejects li button[data-kind=NG]"))[0].click()
            wait(lambda: ": " in said(driver, "#reject .said"), 120)
            save(driver, out / "page-reject.jpg", WIDTHS[REJECT])
        with page(address, SETTINGS, "dark") as driver:
            draw_region(driver)
            save(driver, out / "page-settings.jpg", WIDTHS[SETTINGS])
    with line(bundle, FADING) as address, page(address, PHONE, "light") as driver:
        wait(lambda: "fell from" in said(driver, "#drift-said"), 900)
        save(driver, out / "page-phone.jpg", WIDTHS[PHONE])


@contextmanager
def line(bundle: Path, source: str) -> Iterator[str]:
    """A line with its page; gives the address."""
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder) / "line.yaml"
        config.write_text(
            f"name: cell-4\nsource: '{source}'\ndrift: {{window_parts: 20, window_s: 15, baseline_windows: 5}}\n"
            f"page: {{port: {port}, password: '{hashed(PASSWORD)}', view: anyone}}\n"
        )
        command = [sys.executable, "-m", "edgetl", "run", str(bundle), "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                yield f"http://127.0.0.1:{port}/"
            finally:
                process.terminate()


@contextmanager
def page(address: str, size: tuple[int, int], theme: str) -> Iterator[Any]:
    """The page in a browser, once its live picture is there."""
    with browser(size) as driver:
        feature = {"name": "prefers-color-scheme", "value": theme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        wait(lambda: opened(driver, address))
        wait(lambda: driver.execute_script("return document.querySelector('#frame').naturalWidth"))
        yield driver


def opened(driver: Any, address: str) -> bool:
    """Whether the page is there; the line needs a moment to start."""
    from selenium.common.exceptions import WebDriverException

    try:
        driver.get(address)
    except WebDriverException:
        return False
    return bool(driver.find_elements("id", "frame"))


def draw_region(driver: Any) -> None:
    """Signs in, opens the settings and drags a region into the picture."""
    wait(lambda: driver.find_element("id", "open-sign-in").is_displayed())
    driver.find_element("id", "open-sign-in").click()
    field = wait(lambda: driver.find_element("css selector", "#sign-in[open] [name=password]"))
    field.send_keys(PASSWORD)
    field.submit()
    wait(lambda: driver.find_element("id", "open-settings").is_displayed())
    driver.find_element("id", "open-settings").click()
    wait(lambda: driver.execute_script("return document.querySelector('#settings .picture img').naturalWidth"))
    drag_over_picture(driver, (-0.3, -0.4), (0.6, 0.8))


def said(driver: Any, selector: str) -> str:
    """What an element says; empty while it is being replaced."""
    text: str = driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)
    return text


def count(driver: Any, kind: str) -> int:
    """How many verdicts of a kind the page shows."""
    return int(said(driver, f"#counts [data-kind={kind}] b") or 0)


def wait(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """What `holds` gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := _asked(holds)):
        if time.monotonic() > deadline:
            raise TimeoutError("the page did not come to show what the picture is to show")
        time.sleep(0.2)
    return found


def _asked(holds: Callable[[], Any]) -> Any:
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    try:
        return holds()
    except (NoSuchElementException, StaleElementReferenceException):
        return None


def save(driver: Any, path: Path, width: int) -> None:
    """What is on the screen, as a JPEG of that width."""
    screen = cv2.imdecode(np.frombuffer(driver.get_screenshot_as_png(), np.uint8), cv2.IMREAD_COLOR)
    assert screen is not None
    picture = shrunk(screen, width)
    path.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    click.echo(f"{path}: {picture.shape[1]}×{picture.shape[0]}")


if __name__ == "__main__":
    main()
