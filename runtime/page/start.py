"""Puts a line's page together and starts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgetl.runtime.bundle import Bundle
from edgetl.runtime.drift.observer import Observer
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.interpreters.base import Interpreter
from edgetl.runtime.interpreters.scoring import ScoringInterpreter, detector_of
from edgetl.runtime.page.access import Access
from edgetl.runtime.page.app import make_app
from edgetl.runtime.page.editing import LineFile
from edgetl.runtime.page.gallery import Gallery
from edgetl.runtime.page.heat_worker import HeatWorker
from edgetl.runtime.page.screen import Screen
from edgetl.runtime.page.server import Server
from edgetl.runtime.page.settings import PageSettings
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.verdict import Verdict


class Page:
    """A running page. It is a sink of the line, and ends with it."""

    def __init__(self, server: Server, gallery: Gallery, heat: HeatWorker) -> None:
        self.address = server.address
        self._server = server
        self._gallery = gallery
        self._heat = heat

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Takes a frame from the line; never waits."""
        self._gallery.show(frame, verdict)

    def close(self) -> None:
        """Ends the server and its threads."""
        self._server.close()
        self._gallery.close()
        self._heat.close()


def start_page(
    settings: PageSettings, bundle: Bundle, model: Interpreter, board: StatusBoard, *,
    observer: Observer | None = None, config: Path | None = None, reload: Callable[[], bool] = lambda: False,
) -> Page:  # fmt: skip
    """Starts the page of a line that runs `model` of `bundle`. Raises UsageError where it cannot listen."""
    manifest, info = bundle.manifest, model.info
    # Kept, so that heat maps ask the very file that inspects.
    data, detector = bundle.read(info.model), detector_of(bundle, info.model)

    def load() -> Interpreter:
        opened = open_interpreter(info.name, data, info.model, 1)
        return opened if detector is None else ScoringInterpreter(opened, detector)

    gallery, heat = Gallery(), HeatWorker(load, manifest.preprocessing, manifest.rule.labels)
    file = LineFile(config, manifest.rule) if config is not None else None
    screen = Screen(board, gallery, heat, observer=observer, file=file, reload=reload)
    server = Server(make_app(screen, Access(settings)), settings)
    return Page(server, gallery, heat)
