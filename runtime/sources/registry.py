"""Finds the source that an address on the command line means."""

from __future__ import annotations

from pathlib import Path

from edgetl.errors import UsageError
from edgetl.runtime.picture import SUFFIXES
from edgetl.runtime.sources.base import Source, redacted

STREAMS = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "tcp://")


def open_source(address: str) -> Source:
    """Opens a camera index, /dev path, stream URL, video file, picture folder, or `sim:`. Raises SourceError."""
    if address.startswith("sim:"):
        from edgetl.runtime.sources.sim import SimSource

        return SimSource.from_address(address)
    if address.isdecimal() or address.startswith(("/dev/", *STREAMS)):
        from edgetl.runtime.sources.video import Camera

        return Camera(int(address) if address.isdecimal() else address)
    return _open_path(address)


def _open_path(address: str) -> Source:
    from edgetl.runtime.sources.folder import PictureFolder
    from edgetl.runtime.sources.video import VideoFile

    path = Path(address)
    if not path.exists():
        raise UsageError(
            f"{redacted(address)}: no such file or folder; a source is a camera number, a /dev path, a video file, "
            f"a folder, an address ({', '.join(STREAMS)}) or sim:"
        )
    return PictureFolder(path) if path.is_dir() or path.suffix.lower() in SUFFIXES else VideoFile(path)
