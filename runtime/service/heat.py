"""How warm the processor is, and whether it is slowed down or short of voltage; and what follows for the line."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgetl.runtime.service.settings import ServiceSettings
from edgetl.runtime.status import StatusBoard

PERIOD_S = 5.0
_COOLER_BY_C = 5.0  # so that the rate does not change with every degree
# Raspberry Pi's firmware: bits 0 to 3 say what is so now, bits 16 to 19 what was since the start.
_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SLOWED = 0b1110
_SINCE = 16
# The kernel's own means against heat, by the names that its drivers give them; state 0 is full speed.
_CAPS = re.compile(r"(thermal-)?cpufreq|Processor$|\w+-throttle-alert$|hot-surface-alert$")
# What has throttled since the start, in counts: x86's cores and packages, and over-current events of a Jetson.
_COUNTERS = (
    "devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
    "devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",
    "class/hwmon/hwmon*/oc*_event_cnt",
)

_log = logging.getLogger("edgetl.heat")


class Heat(msgspec.Struct, frozen=True):
    """The warmest thermal zone in °C (None without any), the firmware's bits (None where nobody knows them), what the kernel
    holds back because of heat now, and how often the processor was throttled since the start (None where nobody counts)."""

    temperature_c: float | None
    bits: int | None
    capped: tuple[str, ...] = ()
    throttled_times: int | None = None

    @property
    def told(self) -> str:
        """What is the matter now, in words; empty when nothing is."""
        return ", ".join([*_words(self.bits or 0), *(f"{name} is held back because of heat" for name in self.capped)])

    @property
    def slowed(self) -> bool:
        """Whether the processor runs slower than it should."""
        return bool((self.bits or 0) & _SLOWED) or bool(self.capped)


def slowed_between(before: Heat, after: Heat) -> str:
    """What slowed the processor down at or between two looks, in words; empty if nothing did. Bits since the start that stood
    before say nothing of the time between."""
    since = _words((after.bits or 0) >> _SINCE & ~((before.bits or 0) >> _SINCE))
    times = (after.throttled_times or 0) - (before.throttled_times or 0)
    counted = [f"throttled {times} times meanwhile"] if times > 0 else []
    said = [before.told, after.told, *(f"{word} meanwhile" for word in since), *counted]
    return ", ".join(dict.fromkeys(word for word in said if word))


def _words(bits: int) -> list[str]:
    return [said for bit, said in _BITS.items() if bits >> bit & 1]


def read_heat(sys: Path = Path("/sys")) -> Heat:
    """What the system says now."""
    warmest = None
    for zone in sorted((sys / "class/thermal").glob("thermal_zone*/temp")):
        value = _number(zone)
        if value is not None and -40_000 < value < 150_000:  # some zones of boards without a sensor give nonsense
            warmest = max(value / 1000, warmest if warmest is not None else -273.0)
    return Heat(warmest, _bits(sys), _capped(sys), _throttled_times(sys))


def _capped(sys: Path) -> tuple[str, ...]:
    found = []
    for state in sorted((sys / "class/thermal").glob("cooling_device*/cur_state")):
        try:
            kind = (state.parent / "type").read_text().strip()
        except OSError:
            continue
        if _CAPS.match(kind) and (_number(state) or 0) > 0:
            found.append(kind)
    return tuple(dict.fromkeys(found))


def _throttled_times(sys: Path) -> int | None:
    counts = [count for pattern in _COUNTERS for path in sys.glob(pattern) if (count := _number(path)) is not None]
    return int(sum(counts)) if counts else None


def _bits(sys: Path) -> int | None:
    """From vcgencmd, where it is installed and may be called; at least under-voltage from the kernel's own driver."""
    if (command := shutil.which("vcgencmd")) is not None:
        try:
            done = subprocess.run([command, "get_throttled"], capture_output=True, text=True, timeout=2, check=True)
            return int(done.stdout.partition("=")[2], 16)
        except (OSError, ValueError, subprocess.SubprocessError):
            pass
    for name in sorted((sys / "class/hwmon").glob("hwmon*/name")):
        try:
            if name.read_text().strip() == "rpi_volt":
                return int(bool(_number(name.parent / "in0_lcrit_alarm")))
        except OSError:
            continue
    return None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def is_slow(heat: Heat, settings: ServiceSettings, slow: bool) -> bool:
    """Whether the line is to judge less often; `slow`: whether it does so already."""
    limit_c = settings.max_temperature_c - (_COOLER_BY_C if slow else 0.0)
    return heat.slowed or (heat.temperature_c is not None and heat.temperature_c >= limit_c)


class HeatWatch:
    """Looks now and then, on a thread of its own, and tells the board and the camera."""

    def __init__(
        self, settings: ServiceSettings, board: StatusBoard, source: object, read: Callable[[], Heat] = read_heat
    ) -> None:
        self._settings = settings
        self._board = board
        self._source = source
        self._read = read
        self._slow = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="heat")
        self._thread.start()

    def _watch(self) -> None:
        self.look()
        while not self._done.wait(PERIOD_S):
            self.look()

    def look(self) -> None:
        """One look."""
        heat = self._read()
        slow = is_slow(heat, self._settings, self._slow)
        told = heat.told or ("too hot" if slow else "")
        if slow and hasattr(self._source, "every"):
            told += f"; one frame in {self._settings.slow_every} is judged"
        self._board.tell(temperature_c=heat.temperature_c, throttled=told)
        if slow != self._slow:
            self._slow = slow
            warmth = "" if heat.temperature_c is None else f" at {heat.temperature_c:.0f} °C"
            _log.warning("the processor is %s%s", told or "at full speed again", warmth)
            if hasattr(self._source, "every"):
                self._source.every = self._settings.slow_every if slow else 1

    def close(self) -> None:
        """Ends the watch."""
        self._done.set()
        self._thread.join()
