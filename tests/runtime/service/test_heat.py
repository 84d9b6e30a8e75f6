"""Heat and throttling are read from where systems tell them, and slow the line down by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.runtime.service.heat import Heat, HeatWatch, is_slow, read_heat, slowed_between
from edgetl.runtime.service.settings import ServiceSettings
from edgetl.runtime.status import StatusBoard

SETTINGS = ServiceSettings(max_temperature_c=80)


def system(folder: Path, *zones: str) -> Path:
    """A /sys with thermal zones that read like this."""
    for number, text in enumerate(zones):
        zone = folder / "class/thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(text)
    return folder


def vcgencmd(folder: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vcgencmd on the PATH that answers so."""
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_warmest_zone_counts_and_nonsense_does_not(tmp_path: Path) -> None:
    assert read_heat(system(tmp_path, "48200\n", "61000\n", "-274000\n", "not a number\n")).temperature_c == 61.0
    assert read_heat(tmp_path / "none").temperature_c is None


@pytest.mark.fault("T3")
@pytest.mark.parametrize(
    ("answer", "told", "slowed"),
    [
        ("throttled=0x0", "", False),
        ("throttled=0x50005", "under-voltage, throttled", True),
        ("throttled=0x50000", "", False),  # it was so, and is no more
        ("throttled=0x8", "soft temperature limit", True),
        ("throttled=0x1", "under-voltage", False),
    ],
)
def test_bits_of_the_firmware_are_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, told: str, slowed: bool
) -> None:
    vcgencmd(tmp_path, f"test $1 = get_throttled && echo {answer}", monkeypatch)
    heat = read_heat(system(tmp_path, "50000"))
    assert (heat.told, heat.slowed) == (told, slowed)


@pytest.mark.parametrize("answer", ["exit 1", "echo nonsense", "echo"])
def test_firmware_that_does_not_answer_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    vcgencmd(tmp_path, answer, monkeypatch)
    assert read_heat(tmp_path).bits is None
    hwmon = tmp_path / "class/hwmon/hwmon1"
    hwmon.mkdir(parents=True)
    (hwmon / "name").write_text("rpi_volt\n")
    (hwmon / "in0_lcrit_alarm").write_text("1\n")
    assert read_heat(tmp_path).told == "under-voltage"


def cooling(folder: Path, number: int, kind: str, state: int) -> None:
    """One of the kernel's means against heat."""
    device = folder / f"class/thermal/cooling_device{number}"
    device.mkdir(parents=True)
    (device / "type").write_text(f"{kind}\n")
    (device / "cur_state").write_text(f"{state}\n")


@pytest.mark.parametrize("kind", ["cpufreq-cpu0", "thermal-cpufreq-0", "Processor", "cpu-throttle-alert"])
def test_what_the_kernel_holds_back_is_told(tmp_path: Path, kind: str) -> None:
    cooling(tmp_path, 0, kind, 0)
    cooling(tmp_path, 1, "pwm-fan", 3)
    assert read_heat(tmp_path).told == ""
    cooling(tmp_path, 2, kind, 2)
    heat = read_heat(tmp_path)
    assert heat.slowed and heat.told == f"{kind} is held back because of heat"


def throttled(folder: Path, core: int, package: int, current: int) -> Path:
    """A /sys that has counted so much."""
    counts = folder / "devices/system/cpu/cpu0/thermal_throttle"
    counts.mkdir(parents=True)
    (counts / "core_throttle_count").write_text(f"{core}\n")
    (counts / "package_throttle_count").write_text(f"{package}\n")
    (folder / "class/hwmon/hwmon3").mkdir(parents=True)
    (folder / "class/hwmon/hwmon3/oc1_event_cnt").write_text(f"{current}\n")
    return folder


def test_throttling_between_two_looks_is_seen_though_neither_saw_it(tmp_path: Path) -> None:
    before = read_heat(throttled(tmp_path / "before", 3, 1, 0))
    after = read_heat(throttled(tmp_path / "after", 5, 2, 1))
    assert (before.told, after.told) == ("", "")
    assert slowed_between(before, before) == ""
    assert slowed_between(before, after) == "throttled 4 times meanwhile"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (0, 0x40000, "throttled meanwhile"),
        (0x40000, 0x40000, ""),  # it was so before we looked
        (0x40000, 0x50000, "under-voltage meanwhile"),
        (0, 0x20002, "frequency capped, frequency capped meanwhile"),
        (4, 0x40000, "throttled, throttled meanwhile"),
    ],
)
def test_bits_since_the_start_count_where_they_are_new(before: int, after: int, told: str) -> None:
    assert slowed_between(Heat(60.0, before), Heat(60.0, after)) == told


def test_line_slows_down_when_hot_and_not_before_it_is_cooler_again() -> None:
    slow, states = False, []
    for temperature_c in (70.0, 79.9, 80.0, 76.0, 75.1, 74.9, 79.0):
        slow = is_slow(Heat(temperature_c, None), SETTINGS, slow)
        states.append(slow)
    assert states == [False, False, True, True, True, False, False]
    assert is_slow(Heat(20.0, 0b100), SETTINGS, False)


class Camera:
    every = 1


@pytest.mark.fault("T3")
def test_watch_tells_the_board_and_halves_the_camera_s_rate() -> None:
    board, camera, heats = StatusBoard(), Camera(), [Heat(60.0, 0b101)]
    watch = HeatWatch(SETTINGS, board, camera, read=lambda: heats[-1])
    watch.close()
    status = board.snapshot()
    assert (status.temperature_c, status.throttled) == (60.0, "under-voltage, throttled; one frame in 2 is judged")
    assert camera.every == 2
    heats.append(Heat(55.0, 0))
    watch.look()
    assert (board.snapshot().throttled, camera.every) == ("", 1)
