"""What is kept of a frame: the picture as a PNG, and beside it a JSON file of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgetl.runtime.verdict import VerdictKind

Reason = Literal["reject", "drift", "unsure", "random"]
SCHEMA = 1
PICTURE_SUFFIX = ".png"
RECORD_SUFFIX = ".json"

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class CollectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `collect` section. `max_bytes` holds pictures and their records. `random_share` of all parts, and parts judged with a score below `unsure_below`, are
    kept beside rejects and what comes while a drift alarm stands; at most `per_minute` of each kind."""

    folder: str
    max_bytes: Annotated[int, msgspec.Meta(ge=1_000_000)] = 1_000_000_000
    random_share: _Share = 0.01
    unsure_below: _Share = 0.8
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=6000)] = 30


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """One kept picture. `label`, `score` and `verdict` are the model's guess; `labels` all that it could have given.
    `sequence` and `device` name the verdict it belongs to, `region` the part of the frame, if regions were judged.
    `order` rises from picture to picture in one folder, over restarts too: neither the clock nor the sequence does
    that for certain."""

    schema: int = SCHEMA
    picture: str
    sha256: str
    size_bytes: int
    reasons: tuple[Reason, ...]
    verdict: VerdictKind
    label: str | None
    score: float | None
    labels: tuple[str, ...]
    bundle: str
    sequence: int
    device: str = ""
    region: str = ""
    part: int | None = None
    time: str = ""
    order: int = 0


def record_path(folder: Path, record: Collected) -> Path:
    """Where a picture's record lies."""
    return (folder / record.picture).with_suffix(RECORD_SUFFIX)


def read_collected(folder: Path) -> list[Collected]:
    """The records in a folder whose pictures are there, oldest first. Records that cannot be read are left out."""
    found = []
    for path in folder.glob(f"*{RECORD_SUFFIX}"):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=Collected)
        except (OSError, msgspec.DecodeError):
            continue
        named = record.picture == path.with_suffix(PICTURE_SUFFIX).name  # never a path out of the folder
        if record.schema == SCHEMA and named and (folder / record.picture).is_file():
            found.append(record)
    return sorted(found, key=lambda record: (record.order, record.picture))
