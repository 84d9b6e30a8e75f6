"""Pictures as model inputs, decoded once for all models that are measured on them: of a large photograph that takes longer than
every model's answer."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess

MOST_BYTES = 256 << 20  # of inputs that are held: 1,700 of 224 px


class Decoded:
    """Gives a picture's input by its path, to several threads at once. What does not fit is decoded each time."""

    def __init__(self, how: Preprocessing, most_bytes: int = MOST_BYTES) -> None:
        self._how = how
        self._room = most_bytes // (3 * how.size * how.size)
        self._held: dict[Path, Future[Image]] = {}
        self._lock = Lock()

    def __call__(self, path: Path) -> Image:
        """The input. Raises PictureError."""
        with self._lock:
            known = self._held.get(path)
            if known is None and len(self._held) < self._room:
                own = self._held[path] = Future()
            else:
                own = None
        return self._decode(path, own) if known is None else known.result()

    def _decode(self, path: Path, held: Future[Image] | None) -> Image:
        try:
            image = preprocess(read_picture(path), self._how)
        except BaseException as error:  # others wait for it, whatever it is
            if held is not None:
                held.set_exception(error)
            raise
        if held is not None:
            held.set_result(image)
        return image
