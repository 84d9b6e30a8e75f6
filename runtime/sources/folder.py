"""A folder of pictures, or a single one, as a source."""

from __future__ import annotations

import time
from pathlib import Path

from edgetl.errors import PictureError, SourceError
from edgetl.runtime.picture import SUFFIXES, read_picture
from edgetl.runtime.sources.base import Frame


class PictureFolder:
    """The pictures below a folder, by name. One that cannot be read gives a frame with a fault; the rest go on."""

    live = False
    triggered = False

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._root = path if path.is_dir() else path.parent
        self._paths = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        self._next = 0
        if not self._paths:
            raise SourceError(f"{path}: holds no pictures ({', '.join(sorted(SUFFIXES))})")

    def read(self) -> Frame | None:
        """The next picture, or None after the last."""
        if self._next == len(self._paths):
            return None
        index, self._next = self._next, self._next + 1
        path = self._paths[index]
        name = path.relative_to(self._root).as_posix()
        try:
            image, fault = read_picture(path), None
        except PictureError as error:
            image, fault = None, str(error)
        now = time.monotonic()
        return Frame(index, name, image, now, float(index), fault)

    def close(self) -> None:
        """Nothing to release."""
