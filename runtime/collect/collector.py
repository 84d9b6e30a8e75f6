"""A sink that keeps frames worth a label, under a disk quota, without ever making the line wait."""

from __future__ import annotations

import datetime
import hashlib
import queue
import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec

from edgetl.errors import StorageError, storage
from edgetl.runtime.collect.choice import Allowance, Kept, rank_of, reasons_of, victims
from edgetl.runtime.collect.record import (
    PICTURE_SUFFIX,
    RECORD_SUFFIX,
    Collected,
    CollectSettings,
    Reason,
    read_collected,
    record_path,
)
from edgetl.runtime.files import write_file
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict, VerdictKind

_WAITING = 4  # frames; at 1080p each is 6 MB
_OWN_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}-\d{8}")  # as `_put` makes them


class View(msgspec.Struct, frozen=True):
    """What was judged at once: the whole frame, or one region of it."""

    region: str
    verdict: VerdictKind
    label: str | None
    score: float | None
    box: tuple[int, int, int, int] | None


def views_of(verdict: Verdict) -> Iterator[View]:
    """The judged pieces of a frame: those are what the model is trained on."""
    if verdict.regions is msgspec.UNSET:
        yield View("", verdict.verdict, verdict.label, verdict.score, None)
        return
    for region in verdict.regions:
        if region.box is not None:
            yield View(region.name, region.verdict, region.label, region.score, region.box)


class Collector:
    """Keeps frames in `settings.folder`. `drifted` says whether a drift alarm stands now."""

    def __init__(
        self,
        settings: CollectSettings,
        bundle: str,
        labels: tuple[str, ...],
        drifted: Callable[[], bool] = lambda: False,
        seed: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since 1970, for names only."""
        self._settings = settings
        self._folder = Path(settings.folder)
        self._bundle = bundle
        self._labels = labels
        self._drifted = drifted
        self._random = random.Random(seed)
        self._allowance = Allowance(settings.per_minute)
        stamp = datetime.datetime.fromtimestamp(clock(), datetime.timezone.utc).strftime("%Y%m%dT%H%M%S")
        self._run = f"{stamp}-{secrets.token_hex(3)}"  # names stay apart where the clock or the sequence starts over
        with storage(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._kept = self._found()
        self._order = max((k.order for k in self._kept.values()), default=0)
        self._queue: queue.Queue[tuple[Collected, Image] | None] = queue.Queue(_WAITING)
        self._written = self._dropped = 0
        self._trouble = ""
        self._thread = threading.Thread(target=self._write_all, name="collect", daemon=True)
        self._thread.start()

    def _found(self) -> dict[str, Kept]:
        """What earlier runs kept. Pictures of theirs whose records are gone stay, count, and are the first to make room;
        anybody else's files are not touched."""
        kept = {}
        for record in read_collected(self._folder):
            size = record.size_bytes + record_path(self._folder, record).stat().st_size
            kept[record.picture] = Kept(record.picture, size, rank_of(record.reasons), record.order)
        for path in self._folder.glob(f"*{PICTURE_SUFFIX}"):
            if path.name not in kept and _OWN_NAME.match(path.name):
                kept[path.name] = Kept(path.name, path.stat().st_size, rank_of(()), 0)
        return kept

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Takes a copy of what is worth keeping; where the writer is behind, it is dropped and counted."""
        if verdict is None or frame.image is None or verdict.verdict == "FAULT":
            return
        now, drifted = time.monotonic(), self._drifted()
        for view in views_of(verdict):
            wanted = reasons_of(view.verdict, view.score, drifted, self._random.random(), self._settings)
            if reasons := self._allowance.take(wanted, now):
                self._put(frame.image, verdict, view, reasons)

    def _put(self, image: Image, verdict: Verdict, view: View, reasons: tuple[Reason, ...]) -> None:
        piece = image if view.box is None else image[view.box[1] : view.box[3], view.box[0] : view.box[2]]
        region = f"-{view.region}" if view.region else ""
        record = Collected(
            picture=f"{self._run}-{verdict.sequence:08d}{_as_name(region)}{PICTURE_SUFFIX}",
            sha256="", size_bytes=0, reasons=reasons, verdict=view.verdict, label=view.label, score=view.score,
            labels=self._labels, bundle=self._bundle, sequence=verdict.sequence, device=verdict.device or "",
            region=view.region, part=verdict.part, time=verdict.time or "",
        )  # fmt: skip
        try:
            self._queue.put_nowait((record, piece.copy()))
        except queue.Full:
            self._dropped += 1

    def _write_all(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._write(*item)
                self._trouble = ""
            except StorageError as error:  # a full card must not end the inspection
                self._dropped += 1
                self._trouble = str(error)

    def _write(self, record: Collected, image: Image) -> None:
        data = cv2.imencode(PICTURE_SUFFIX, image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
        self._order += 1
        record = msgspec.structs.replace(
            record, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), order=self._order
        )
        text = msgspec.json.encode(record)
        newcomer = Kept(record.picture, len(data) + len(text), rank_of(record.reasons), self._order)
        gone = victims(self._kept.values(), newcomer, self._settings.max_bytes)
        if gone is None:
            self._dropped += 1
            return
        for kept in gone:
            self._remove(kept.name)
        write_file(self._folder / record.picture, data)
        # The record comes second: what is listed is there. A power cut between the two leaves a picture without one.
        write_file(record_path(self._folder, record), text)
        self._kept[record.picture] = newcomer
        self._written += 1

    def _remove(self, name: str) -> None:
        with storage(self._folder):
            (self._folder / name).with_suffix(RECORD_SUFFIX).unlink(missing_ok=True)
            (self._folder / name).unlink(missing_ok=True)
        self._kept.pop(name, None)

    def health(self) -> SinkHealth:
        """How many were kept and dropped, and what is the matter with the disk, if anything."""
        return SinkHealth(
            name="collect", ok=not self._trouble, detail=self._trouble, waiting=self._queue.qsize(),
            delivered=self._written, dropped=self._dropped,
        )  # fmt: skip

    def close(self) -> None:
        """Writes what is still held."""
        self._queue.put(None)
        self._thread.join()


def _as_name(text: str) -> str:
    """A region's name as part of a file's."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text)
