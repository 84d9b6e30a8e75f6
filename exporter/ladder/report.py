"""The climb for people and programs: ladder.json and ladder.png, in the bundle or beside where it would have been."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.exporter.ladder.climb import Climb
from edgetl.exporter.ladder.gate import Limits
from edgetl.exporter.ladder.plot import draw
from edgetl.runtime.files import write_file

LADDER_NAME = "ladder.json"
PLOT_NAME = "ladder.png"


class LadderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """ladder.json: the limits of the gate, every rung tried with its figures and its time, and what is to be said of the
    calibration pictures."""

    limits: Limits
    climb: Climb
    warnings: tuple[str, ...] = ()


def ladder_files(climb: Climb, limits: Limits, warnings: tuple[str, ...]) -> dict[str, bytes]:
    """Both files, by name."""
    record = msgspec.json.format(msgspec.json.encode(LadderRecord(limits=limits, climb=climb, warnings=warnings)))
    return {LADDER_NAME: record, PLOT_NAME: draw(climb, limits)}


def beside(out: Path) -> tuple[Path, Path]:
    """Where the report of a refused export lies."""
    stem = out.name.removesuffix(".edgetl")
    return out.with_name(f"{stem}.refused.json"), out.with_name(f"{stem}.refused.png")


def write_refused(out: Path, climb: Climb, limits: Limits, warnings: tuple[str, ...]) -> tuple[Path, Path]:
    """Writes the report of an export whose gate stayed shut beside where its bundle would be. Raises StorageError."""
    paths = beside(out)
    for path, data in zip(paths, ladder_files(climb, limits, warnings).values(), strict=True):
        write_file(path, data)
    return paths


def remove_refused(out: Path) -> None:
    """Takes away the report of an earlier refusal: the bundle that is now there was not refused."""
    for path in beside(out):
        path.unlink(missing_ok=True)
