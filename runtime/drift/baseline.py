"""What a line looked like when it was commissioned, kept over restarts so that slow ageing is seen."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.files import write_file


class Level(msgspec.Struct, frozen=True):
    """A figure on this line: its mean over the baseline, and the standard deviations of single pictures and of
    windows' means (larger than the pictures' would make it where neighbours resemble each other)."""

    mean: float
    std: float
    window_std: float


class Baseline(msgspec.Struct, frozen=True):
    """The levels of all figures over `windows` windows, for the model with that SHA-256."""

    model: str
    windows: int
    levels: dict[str, Level]


def read_baseline(path: Path, model: str) -> Baseline | None:
    """The baseline kept at `path`; None where there is none, or one of another model. Raises UsageError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Baseline)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot read the drift baseline: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(f"{path}: not a drift baseline ({error}); remove it and the line is learned anew") from error
    return found if found.model == model else None


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Keeps a baseline. Raises StorageError."""
    write_file(path, msgspec.json.format(msgspec.json.encode(baseline)) + b"\n")
