"""libgpiod's package as edgetl uses it, over files instead of a kernel, for tests of whole commands.

`FAKE_GPIO` names a folder; each line of a chip is a file there, whose last row is its level. As with the kernel a line
belongs to one process at a time, is free again when that process dies, and then keeps its level.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any

from gpiod.line import Value


class LineSettings:
    """What is asked of a line."""

    def __init__(self, *, direction: Any, active_low: bool = False, output_value: Value = Value.INACTIVE) -> None:
        self.active_low = active_low
        self.output_value = output_value


class _Request:
    """One output line."""

    def __init__(self, path: Path, settings: LineSettings) -> None:
        self._active_low = settings.active_low
        self._file = path.open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(16, "Device or resource busy") from None
        self.set_value(0, settings.output_value)

    def set_value(self, line: int, value: Value) -> None:
        high = (value is Value.ACTIVE) != self._active_low
        self._file.write(f"{time.monotonic():.6f} {'high' if high else 'low'}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def request_lines(chip: str, consumer: str, config: dict[int, LineSettings]) -> _Request:
    """Asks for one line."""
    ((line, settings),) = config.items()
    if chip != "/dev/gpiochip0":
        raise OSError(2, "No such file or directory")
    return _Request(Path(os.environ["FAKE_GPIO"]) / f"line-{line}", settings)
