"""Finds the source that an address on the command line means."""

from __future__ import annotations

from pathlib import Path

from edgetl.errors import UsageError
from edgetl.runtime.capture.addresses import CAMERAS, HTTP, STREAMS
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.picture import SUFFIXES
from edgetl.runtime.sources.base import Source, redacted


def open_source(address: str, camera: CameraConfig | None = None) -> Source:
    """Opens a camera (number, /dev path, `csi:0`, `gst:PIPELINE`, stream address), video file, picture folder, or
    `sim:`. Raises SourceError. Without `camera` a camera has to be there now."""
    if address.startswith("sim:"):
        from edgetl.runtime.sources.sim import SimSource

        return SimSource.from_address(address)
    if address.isdecimal() or address.startswith(CAMERAS):
        from edgetl.runtime.capture.camera import Camera

        return Camera(address, camera)
    return _open_path(address)


def _open_path(address: str) -> Source:
    from edgetl.runtime.sources.folder import PictureFolder
    from edgetl.runtime.sources.video import VideoFile

    path = Path(address)
    if not path.exists():
        raise UsageError(
            f"{redacted(address)}: no such file or folder; a source is a camera number, a /dev path, a video file, "
            f"a folder, an address ({', '.join((*STREAMS, *HTTP))}) or sim:"
        )
    return PictureFolder(path) if path.is_dir() or path.suffix.lower() in SUFFIXES else VideoFile(path)
