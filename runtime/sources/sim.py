"""`sim:`, the drawn conveyor as a camera with a light barrier, and with the truth about every part."""

from __future__ import annotations

import time
from dataclasses import fields

from edgetl.errors import UsageError
from edgetl.runtime.sim import Conveyor, ConveyorSettings, Outages
from edgetl.runtime.sources.base import Frame

_NUMBERS: dict[str, type[int] | type[float]] = {
    field.name: int if "int" in str(field.type) else float for field in fields(ConveyorSettings)
}


class SimSource:
    """`sim:[name=value,…]`; the names are those of ConveyorSettings, and `pace=real|fast`.

    With `outages_per_minute` the camera (not the light barrier) is away now and then, for a twentieth of a second up
    to four: the rehearsal for a loose cable. At `pace=real` (the default) frames come by the clock, as from a camera, and old ones are dropped when the
    inspection is too slow. At `pace=fast` they come as fast as they are taken, and none is dropped.
    """

    triggered = True

    def __init__(self, settings: ConveyorSettings, pace: str = "real", outages_per_minute: float = 0.0) -> None:
        if pace not in ("real", "fast"):
            raise UsageError(f"sim: pace must be real or fast, got {pace!r}")
        self.name = "sim:"
        self.live = pace == "real"
        self.settings = settings
        self.conveyor = Conveyor(settings)
        self._outages = Outages(settings.seed, outages_per_minute)
        self._frames = self.conveyor.frames()
        self._index = 0
        self._started: float | None = None

    @classmethod
    def from_address(cls, address: str) -> SimSource:
        """Parses `sim:parts=100,parts_per_minute=300,seed=1`. Raises UsageError."""
        values: dict[str, int | float] = {}
        pace, outages = "real", 0.0
        for item in filter(None, address.removeprefix("sim:").split(",")):
            name, _, text = item.partition("=")
            if name == "pace":
                pace = text
                continue
            if name not in (*_NUMBERS, "outages_per_minute"):
                known = ", ".join(("pace", *_NUMBERS, "outages_per_minute"))
                raise UsageError(f"sim: unknown setting {name!r}; choose from {known}")
            try:
                if name == "outages_per_minute":
                    outages = float(text)
                else:
                    values[name] = _NUMBERS[name](text)
            except ValueError as error:
                raise UsageError(f"sim: {name}={text!r} is not a number") from error
        try:
            return cls(ConveyorSettings(**values), pace, outages)  # type: ignore[arg-type]
        except ValueError as error:
            raise UsageError(f"sim: {error}") from error

    def read(self) -> Frame | None:
        """The next frame, at its time when the pace is real."""
        frame = next(self._frames, None)
        if frame is None:
            return None
        if self._started is None:
            self._started = time.monotonic()
        if self.live:
            time.sleep(max(0.0, self._started + frame.time_s - time.monotonic()))
        index, self._index = self._index, self._index + 1
        away = self._outages.away(frame.time_s)
        image, fault = (None, "the simulated camera is away") if away else (frame.image, None)
        return Frame(index, self.name, image, time.monotonic(), frame.time_s, fault, frame.part)

    def close(self) -> None:
        """Nothing to release."""
