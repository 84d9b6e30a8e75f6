"""The `spool` section of a line's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec


class SpoolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where results wait for the outputs, and how many may.

    `folder` defaults to the service's state folder. With `own_mount` the folder must lie on another file system than
    `/`: when the card or disk is not mounted, nothing is written and results wait in memory. `max_bytes` bounds what
    waits on disk, `memory_bytes` what waits in memory while the disk cannot take it.
    """

    folder: str | None = None
    own_mount: bool = False
    max_bytes: Annotated[int, msgspec.Meta(ge=16 * 1024)] = 64 * 1024 * 1024
    memory_bytes: Annotated[int, msgspec.Meta(ge=16 * 1024)] = 8 * 1024 * 1024


def spool_folder(config: SpoolConfig) -> Path:
    """The folder that the section names, or the state folder that systemd or the user's session provides."""
    if config.folder is not None:
        return Path(config.folder).expanduser()
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.partition(":")[0]) / "spool"
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home) / "edgetl" / "spool"
