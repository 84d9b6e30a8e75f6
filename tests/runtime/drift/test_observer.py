"""The observer beside the judging thread: it sees what was judged, tells what moved, and keeps what it learned."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.drift.baseline import read_baseline
from edgetl.runtime.drift.observer import Observer, observer_of, watched
from edgetl.runtime.drift.report import DriftReport, said
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.drift.watch import Watch
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.preprocess import Image
from edgetl.runtime.service.journal import fields_of
from edgetl.runtime.status import StatusBoard
from tests.runtime import tiny

LOGITS = np.array([200, 10, 10], np.float32)
SETTINGS = DriftSettings(window_parts=10, window_s=1, baseline_windows=5)

QUICK = DriftSettings(window_parts=3, window_s=0.1, baseline_windows=3)  # shorter than a line may ask for


class Clock:
    """Goes on by a tenth of a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Waits for something that another thread brings about."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.005)


def picture(grey: int) -> Image:
    return np.full((32, 32, 3), grey, np.uint8)


def feed(observer: Observer, greys: list[int], enough: Callable[[], object]) -> None:
    """Shows pictures in turn, no faster than they are looked at, until there were enough."""
    shown = 0

    def show() -> object:
        nonlocal shown
        observer.saw(picture(greys[shown % len(greys)]), LOGITS, "red")
        shown += 1
        return enough()

    until(show)


def test_drift_is_told_and_the_baseline_kept(tmp_path: Path) -> None:
    reports: list[DriftReport] = []
    keep = tmp_path / "state" / "baseline.json"
    observer = Observer(Watch(SETTINGS, None, "m"), None, 1.0, reports.append, keep, Clock())
    feed(observer, [80, 84, 88], lambda: reports and reports[-1].phase == "watching")
    until(keep.exists)
    kept = read_baseline(keep, "m")
    assert kept is not None and 80 < kept.levels["brightness"].mean < 88
    assert said(observer.report) == ""
    feed(observer, [40, 44, 48], lambda: reports[-1].alarms)
    assert "brightness fell from 8" in said(observer.report)
    observer.relearn()
    feed(observer, [40, 44, 48], lambda: reports[-1].phase == "learning")
    feed(observer, [40, 44, 48], lambda: reports[-1].phase == "watching")
    observer.close()
    assert said(reports[-1]) == ""


def test_what_comes_too_fast_is_passed_over_and_never_waited_for() -> None:
    stands_still: Callable[[], float] = lambda: 5.0  # noqa: E731
    observer = Observer(Watch(SETTINGS, None, "m"), None, 1.0, lambda _: None, None, stands_still)
    for _ in range(10_000):
        observer.saw(picture(1), LOGITS, "red")
    observer.close()
    assert observer.report.windows == 0


def test_disk_that_refuses_the_baseline_does_not_end_the_watch(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reports: list[DriftReport] = []
    watch = Watch(SETTINGS, None, "m")
    observer = Observer(watch, None, 1.0, reports.append, tmp_path / "file" / "baseline.json", Clock())
    feed(observer, [80, 84], lambda: reports and reports[-1].phase == "watching" and reports[-1].windows > 6)
    assert observer.failure is not None and "baseline.json" in str(observer.failure)
    observer.close()


def with_reference(path: Path) -> Bundle:
    quantiles = [60.0, 61.0, 80.0, 99.0, 100.0]
    brightness = {"mean": 80, "std": 5, "quantiles": quantiles}
    reference = {"pictures": 9, "quantile_points": [0, 0.01, 0.5, 0.99, 1], "figures": {"brightness": brightness}}
    files = {**tiny.content(), "reference.json": msgspec.json.encode(reference)}
    return open_bundle(tiny.write(path, files))


def test_observer_of_a_bundle_knows_its_pictures(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, window_s=1.0)
    with with_reference(tmp_path / "a.edgetl") as bundle:
        observer = observer_of(bundle, settings, lambda _: None)
    feed(observer, [30, 34], lambda: observer.report.alarms)
    observer.close()
    assert "brightness is 3" in said(observer.report) and "outside the 61 to 99" in said(observer.report)


def test_alarm_is_logged_with_what_moved_and_so_is_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    board = StatusBoard()
    with with_reference(tmp_path / "a.edgetl") as bundle:
        plain = open_interpreter("litert", bundle.read("model/int8.tflite"), "model/int8.tflite")
        model, observer = watched(bundle, plain, QUICK, board)

    def show(grey: int, enough: Callable[[], bool]) -> None:
        def shown() -> bool:
            model.logits(np.full((tiny.SIZE, tiny.SIZE, 3), grey, np.uint8))
            return enough()

        until(shown, 60)

    with caplog.at_level(logging.INFO, "edgetl.drift"):
        show(80, lambda: observer.report.phase == "watching")
        show(30, board.drifting)
        show(80, lambda: not board.drifting())
        observer.close()
    raised, *_, over = [fields_of(record) for record in caplog.records]
    assert (raised["EDGETL_EVENT"], raised["EDGETL_FIGURES"]) == ("drift", "brightness energy")
    assert (
        raised["MESSAGE"].startswith("drift: brightness fell from 80 to 30 grey levels") and raised["PRIORITY"] == "4"
    )
    assert over["EDGETL_EVENT"] == "drift-over" and over["MESSAGE"] == "drift: all figures are back"
    assert "EDGETL_FIGURES" not in over
