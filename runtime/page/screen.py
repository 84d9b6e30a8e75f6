"""Everything of the line that the page reads or may change, in one place."""

from __future__ import annotations

from collections.abc import Callable

from edgetl.runtime.drift.observer import Observer
from edgetl.runtime.drift.report import DriftReport
from edgetl.runtime.page.editing import Editable, LineFile
from edgetl.runtime.page.gallery import Gallery
from edgetl.runtime.page.heat_worker import HeatWorker
from edgetl.runtime.status import StatusBoard


class Screen:
    """`file` is None where the line runs without one, `reload` where it cannot take over a changed one."""

    def __init__(
        self, board: StatusBoard, gallery: Gallery, heat: HeatWorker, *, observer: Observer | None = None,
        file: LineFile | None = None, reload: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.board = board
        self.gallery = gallery
        self.heat = heat
        self.observer = observer
        self.file = file
        self._reload = reload

    def drift_report(self) -> DriftReport | None:
        """What the watch says, if there is one."""
        return self.observer.report if self.observer is not None else None

    def change(self, settings: Editable, version: str) -> bool:
        """Writes settings; True when the line takes them over now, False when it will at its next start."""
        assert self.file is not None
        self.file.change(settings, version)
        return self._reload()
