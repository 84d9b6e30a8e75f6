"""Pins put into their safe state by a process of its own: one that was killed leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from edgetl.errors import SourceError
from edgetl.runtime.pins.base import Chip, PinSettings


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """One pin, and whether it was driven active; `trouble` says why it could not be driven."""

    chip: str
    line: int
    active: bool
    trouble: str = ""


def drive_safe(levels: Iterable[tuple[PinSettings, bool]], chip: Chip) -> list[Driven]:
    """Drives each pin to its level and gives it back. One that cannot be had does not keep the others from it."""
    done = []
    for pin, active in levels:
        trouble = ""
        try:
            chip.output(pin, active).close()
        except SourceError as error:
            trouble = str(error)
        done.append(Driven(chip=pin.chip, line=pin.line, active=active, trouble=trouble))
    return done
