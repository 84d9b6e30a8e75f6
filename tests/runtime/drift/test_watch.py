"""The watch over a line: what it learns, what it calls changed, outside, and neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import UsageError
from edgetl.runtime.drift.baseline import read_baseline, write_baseline
from edgetl.runtime.drift.figures import Row
from edgetl.runtime.drift.report import said
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.drift.watch import Watch
from edgetl.runtime.reference import Confidence, Reference, Spread

SETTINGS = DriftSettings(window_parts=20, window_s=10, baseline_windows=6)


def spread(mean: float, std: float) -> Spread:
    return Spread(mean, std, (mean - 3 * std, mean - 2.33 * std, mean, mean + 2.33 * std, mean + 3 * std))


def reference() -> Reference:
    points = (0.0, 0.01, 0.5, 0.99, 1.0)
    sure = Confidence("m", 100, {"margin": spread(8, 2)}, {}, {})
    return Reference(500, points, {"brightness": spread(80, 5), "sharpness": spread(500, 100)}, {}, sure)


def line(seed: int = 0, **means: float) -> Callable[[], Row]:
    """A line that varies less than the training pictures did, as lines do."""
    rng = np.random.default_rng(seed)
    level = {"brightness": 82.0, "sharpness": 540.0, "margin": 8.5} | means
    noise = {"brightness": 2.0, "sharpness": 40.0, "margin": 1.5}
    return lambda: {name: value + noise[name] * float(rng.standard_normal()) for name, value in level.items()}


def run(watch: Watch, row: Callable[[], Row], windows: int, start: float = 0.0) -> float:
    """Feeds so many windows at two parts a second; returns the time afterwards."""
    now, closed = start, 0
    while closed < windows:
        now += 0.5
        closed += watch.add(row(), now)
    return now


def test_line_is_learned_and_then_watched() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    assert watch.report.windows_to_learn == 6
    now = run(watch, line(), 5)
    assert (watch.report.phase, watch.report.windows_to_learn) == ("learning", 1)
    run(watch, line(), 1, now)
    assert watch.report.phase == "watching"
    assert watch.baseline is not None
    assert watch.baseline.levels["brightness"].mean == pytest.approx(82, abs=0.5)
    assert watch.baseline.levels["brightness"].std == pytest.approx(2, abs=0.4)


def test_steady_line_is_not_alarmed_though_it_lies_off_the_training_mean() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    run(watch, line(brightness=88.0), 300)
    assert watch.report.alarms == () and said(watch.report) == ""


def test_change_within_what_is_known_is_told_with_from_and_to() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    now = run(watch, line(), 10)
    run(watch, line(1, brightness=76.0), 8, now)
    (alarm,) = watch.report.alarms
    assert (alarm.name, alarm.alarm) == ("brightness", "changed")
    assert said(watch.report).startswith("brightness fell from 81")
    assert said(watch.report).endswith("within the 68.3 to 91.7 of the bundle's pictures")


def test_leaving_what_is_known_is_graver() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    now = run(watch, line(), 10)
    run(watch, line(1, brightness=60.0), 8, now)
    (alarm,) = watch.report.alarms
    assert alarm.alarm == "outside"
    assert "fell from 81" in said(watch.report) and "outside the 68.3 to 91.7" in said(watch.report)


def test_line_that_never_looked_like_training_is_told_while_it_is_learned() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    run(watch, line(brightness=50.0), 4)
    assert watch.report.phase == "learning"
    assert said(watch.report).startswith("brightness is 50")


def test_surer_is_no_news_but_less_sure_is() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    now = run(watch, line(), 10)
    now = run(watch, line(1, margin=11.0), 10, now)
    assert watch.report.alarms == ()
    run(watch, line(2, margin=5.0), 10, now)
    assert [a.name for a in watch.report.alarms] == ["margin"]


def test_alarm_ends_when_the_lamp_is_changed() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    now = run(watch, line(), 10)
    now = run(watch, line(1, brightness=60.0), 30, now)
    assert watch.report.alarms
    now = run(watch, line(2), 1, now)
    assert said(watch.report) == "" or said(watch.report).startswith("brightness is coming back: 8")
    run(watch, line(2), 6, now)
    assert watch.report.alarms == ()


def test_relearning_takes_the_new_state_for_normal() -> None:
    watch = Watch(SETTINGS, reference(), "m")
    now = run(watch, line(), 10)
    now = run(watch, line(1, sharpness=400.0), 10, now)
    assert [a.name for a in watch.report.alarms] == ["sharpness"]
    watch.relearn()
    run(watch, line(2, sharpness=400.0), 20, now)
    assert watch.report.phase == "watching" and watch.report.alarms == ()


def test_bundle_without_a_reference_is_watched_for_change_only() -> None:
    watch = Watch(SETTINGS, None, "m")
    now = run(watch, line(brightness=10.0), 10)
    assert watch.report.alarms == ()
    run(watch, line(1, brightness=14.0), 8, now)
    (alarm,) = watch.report.alarms
    assert (alarm.name, alarm.alarm, alarm.known_low) == ("brightness", "changed", None)
    assert "rose from" in said(watch.report) and "bundle" not in said(watch.report)


def test_line_that_does_not_vary_at_all_does_no_harm() -> None:
    watch = Watch(SETTINGS, None, "m")
    run(watch, lambda: {"brightness": 50.0}, 20)
    assert watch.report.alarms == ()


def test_window_needs_parts_and_time() -> None:
    watch = Watch(SETTINGS, None, "m")
    row = line()
    assert not any(watch.add(row(), 0.001 * n) for n in range(1000))
    assert watch.add(row(), 11.0)
    slow = Watch(SETTINGS, None, "m")
    assert [slow.add(row(), 60.0 * n) for n in range(20)].index(True) == 19


def test_baseline_is_kept_over_a_restart_so_that_slow_ageing_is_seen(tmp_path: Path) -> None:
    watch = Watch(SETTINGS, reference(), "m")
    run(watch, line(), 6)
    assert watch.baseline is not None
    write_baseline(tmp_path / "baseline.json", watch.baseline)
    later = Watch(SETTINGS, reference(), "m", read_baseline(tmp_path / "baseline.json", "m"))
    assert later.report.windows_to_learn == 0
    run(later, line(1, brightness=76.0), 8)
    assert [a.name for a in later.report.alarms] == ["brightness"]


def test_baseline_of_another_model_or_none_is_not_used(tmp_path: Path) -> None:
    watch = Watch(SETTINGS, reference(), "m")
    run(watch, line(), 6)
    assert watch.baseline is not None
    write_baseline(tmp_path / "baseline.json", watch.baseline)
    assert read_baseline(tmp_path / "baseline.json", "another") is None
    assert read_baseline(tmp_path / "none.json", "m") is None


def test_damaged_baseline_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text("{")
    with pytest.raises(UsageError, match=r"baseline\.json: not a drift baseline"):
        read_baseline(tmp_path / "baseline.json", "m")
