"""A line with its page: the real board, gallery and server over a bundle made in milliseconds; frames come by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.drift.observer import watched
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.interpreters import Interpreter, open_interpreter
from edgetl.runtime.page.password import hashed
from edgetl.runtime.page.settings import PageSettings
from edgetl.runtime.page.start import Page, start_page
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import SourceHealth, StatusBoard
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny
from tests.runtime.page.client import Client

PASSWORD = "the left key 42"
HASH = hashed(PASSWORD)


class Station:
    """Shows plain pictures to the line, and the line to whoever asks."""

    def __init__(self, page: Page, board: StatusBoard, model: Interpreter) -> None:
        self.page = page
        self.board = board
        self._model = model
        self._shown = 0

    @property
    def client(self) -> Client:
        """Somebody new at the page."""
        return Client(self.page.address)

    def show(
        self,
        colour: str = "red",
        kind: str = "NG",
        label: str | None = "red",
        picture: Image | None = None,
        **more: Any,
    ) -> None:
        """One part of that colour passes, or one that looks like `picture`."""
        self._shown += 1
        now = time.monotonic()
        image = None if kind == "FAULT" else tiny.plain(colour, 96, 80) if picture is None else picture
        frame = Frame(self._shown, "cam", image, now, now, fault="unplugged" if kind == "FAULT" else None)
        verdict = Verdict(
            sequence=self._shown, verdict=kind, label=label, score=0.9, source="cam", frame=self._shown,  # type: ignore[arg-type]
            part=self._shown, time_s=now, latency_ms=1.5, **more,
        )  # fmt: skip
        self.board.frame()
        self.board.progress(trusted=image is not None)
        self.board.verdict(verdict)
        if image is not None:
            self._model.logits(preprocess(image, tiny.HOW))
        self.page.show(frame, verdict)


@contextmanager
def station(
    folder: Path, *, reload: Callable[[], bool] = lambda: True, config: str | None = "# cell 4\n", **settings: Any
) -> Iterator[Station]:
    """A line with a page of these settings, on a free port."""
    path = tiny.write(folder / "part.edgetl")
    file = folder / "line.yaml" if config is not None else None
    if file is not None:
        file.write_text(config or "")
    board = StatusBoard(stuck_after_s=3600, version="0", device="cell-4", bundle="part")
    with open_bundle(path) as bundle:
        plain = open_interpreter("litert", bundle.read("model/int8.tflite"), "model/int8.tflite")
        model, observer = watched(bundle, plain, DriftSettings(), board)
        page = start_page(
            PageSettings(port=0, **settings), bundle, model, board, observer=observer, config=file, reload=reload
        )
    board.tell(state="running", model=model.info.model, interpreter=model.info.name, threads=1,
               source=SourceHealth(name="usb"))  # fmt: skip
    try:
        yield Station(page, board, model)
    finally:
        page.close()
        observer.close()


def until(holds: Callable[[], Any], seconds: float = 30) -> Any:
    """What `holds` gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.02)
    return found
