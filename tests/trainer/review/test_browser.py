"""`edgetl review` with no hand on the mouse: every key that the page names, pressed in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgetl.trainer.review.labels import Labels
from tests.runtime.page.browsing import DESKTOP, browser, errors, needs_browser, text
from tests.runtime.page.station import until
from tests.trainer.review.collected import fill
from tests.trainer.review.serving import serving

pytestmark = needs_browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "kept", [(n, "NG" if n % 2 else "OK", 0.5 + n / 100) for n in range(1, 7)])
    return tmp_path / "kept"


class Reviewer:
    """Somebody at the keyboard."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self._driver = driver
        self._folder = folder

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self._driver).send_keys(*keys).perform()

    def press_with_control(self, key: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self._driver).key_down(Keys.CONTROL).send_keys(key).key_up(Keys.CONTROL).perform()

    def shown(self) -> str:
        """The picture on the stage."""
        name: str = self._driver.find_element("id", "picture").get_attribute("alt")
        return name

    def guess(self) -> str:
        """What the model says of it."""
        return text(self._driver, "#guess b")

    def saved(self, picture: str) -> tuple[str | None, bool] | None:
        """What is on the disk."""
        answer = Labels(self._folder).of(picture)
        return None if answer is None else (answer.label, answer.unusable)

    def counted(self) -> str:
        return text(self._driver, "#counted")


def test_a_folder_is_labelled_by_keys_alone(folder: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    with serving(folder) as address, browser(DESKTOP) as driver:
        driver.get(address)
        me = Reviewer(driver, folder)
        until(lambda: me.counted() == "0 of 6 answered")
        order = [me.shown()]
        for _ in range(5):
            me.press(Keys.ARROW_RIGHT)
            until(lambda: me.shown() not in order)
            order.append(me.shown())
        for _ in range(5):
            me.press(Keys.ARROW_LEFT)
        until(lambda: me.shown() == order[0])

        guess = me.guess()
        me.press(Keys.ENTER)
        until(lambda: me.saved(order[0]) == (guess, False))
        until(lambda: me.shown() == order[1])
        me.press("2")
        until(lambda: me.saved(order[1]) == ("scratch", False))
        me.press("1")
        until(lambda: me.saved(order[2]) == ("good", False))
        me.press("x")
        until(lambda: me.saved(order[3]) == (None, True))
        until(lambda: me.counted() == "4 of 6 answered")

        me.press(Keys.ARROW_LEFT)
        until(lambda: me.shown() == order[3])
        me.press("U")
        until(lambda: me.saved(order[3]) is None)
        until(lambda: me.counted() == "3 of 6 answered")
        me.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT, "n")
        until(lambda: me.shown() == order[3])

        me.press("9")
        me.press_with_control("1")
        assert me.shown() == order[3] and me.saved(order[3]) is None, "these keys mean nothing here"

        driver.find_element("id", "new").click()
        me.press("x1 dent", Keys.ENTER)
        until(lambda: me.saved(order[3]) == ("x1 dent", False))
        until(lambda: me.shown() == order[4])
        me.press("3")
        until(lambda: me.saved(order[4]) == ("x1 dent", False))
        until(lambda: me.counted() == "5 of 6 answered")
        assert errors(driver) == []


def test_an_answer_that_cannot_be_saved_is_told_and_is_none(folder: Path) -> None:
    with serving(folder) as address, browser(DESKTOP) as driver:
        driver.get(address)
        me = Reviewer(driver, folder)
        until(lambda: me.counted() == "0 of 6 answered")
        first = me.shown()
        (folder / "labels.jsonl").mkdir()
        me.press("1")
        until(lambda: "not saved" in text(driver, "#trouble"))
        assert me.shown() == first and me.counted() == "0 of 6 answered"
