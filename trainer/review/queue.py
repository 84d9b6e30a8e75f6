"""The pictures of a folder with what is known of each, in the order in which to label them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import PictureError, UsageError
from edgetl.runtime.collect.record import Collected, read_collected
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.review.labels import Labels
from edgetl.trainer.review.order import by_teaching, doubt_of
from edgetl.trainer.store import fingerprint

_SMALL = Preprocessing(size=64)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One picture to label: the model's guess, and the answer there is already."""

    picture: str
    guess: str | None
    score: float | None
    verdict: str
    reasons: tuple[str, ...]
    where: str
    label: str | None
    unusable: bool


class Queue(msgspec.Struct, frozen=True):
    """All pictures of a folder, and the classes to choose from."""

    labels: tuple[str, ...]
    items: tuple[Item, ...]


def collected_in(folder: Path) -> list[Collected]:
    """The records of a folder that is to be reviewed. Raises UsageError where there are none."""
    records = read_collected(folder)
    if not records:
        raise UsageError(
            f"{folder}: no collected pictures; fetch some with `edgetl pull`, or name the line's collect folder"
        )
    return records


def queue_of(folder: Path, answers: Labels) -> Queue:
    """The queue of a folder of collected pictures. Raises UsageError where there is none."""
    records = collected_in(folder)
    prints, readable = [], []
    for record in records:
        try:
            prints.append(fingerprint(preprocess(read_picture(folder / record.picture), _SMALL)))
        except PictureError:
            continue
        readable.append(record)
    order = by_teaching(np.array([doubt_of(r) for r in readable]), np.array(prints))
    names = dict.fromkeys(label for r in records for label in r.labels)
    items = tuple(_item(readable[i], answers) for i in order)
    given = dict.fromkeys(item.label for item in items if item.label is not None)
    return Queue(tuple(names | given), items)


def _item(record: Collected, answers: Labels) -> Item:
    answer = answers.of(record.picture)
    return Item(
        picture=record.picture, guess=record.label, score=record.score, verdict=record.verdict, reasons=record.reasons,
        where=" · ".join(filter(None, (record.device, record.region, f"result {record.sequence}", record.time))),
        label=answer.label if answer else None, unusable=answer.unusable if answer else False,
    )  # fmt: skip
