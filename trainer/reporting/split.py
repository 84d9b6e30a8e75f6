"""The pictures of one of a run's splits, as the page shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgetl.errors import DatasetError, PictureError
from edgetl.runtime.evaluation import check_labels, in_two, pictures_of_split
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.trainer.reporting.page import Split
from edgetl.trainer.run_folder import Run


def split_of(run: Run, data: Path, name: str, say: Callable[[str], None]) -> Split:
    """The pictures of a split that can be read, decoded anew each time they are looked at; `say` is told of the others.
    Raises DatasetError where there are none."""
    labels, how = run.record.rule.labels, run.record.preprocessing
    found = pictures_of_split(data, name, {s.sha256: s.split for s in run.splits})
    for path, reason in found.left_out.items():
        say(f"passed over: {path}: {reason}")
    pictures = found.pictures if run.record.detector is None else in_two(found.pictures, run.record.rule)
    check_labels(data, pictures, labels)
    readable = []
    for picture in pictures:
        try:
            read_picture(data / picture.path)
        except PictureError as error:
            say(f"passed over: {error}")
            continue
        readable.append(picture)
    if not readable:
        raise DatasetError(f"{data}: none of the {len(pictures)} pictures of {name} can be read")

    def image(number: int) -> Image:
        return preprocess(read_picture(data / readable[number].path), how)

    truth = np.array([labels.index(p.label) for p in readable], np.int64)
    return Split(name=name, paths=[p.path for p in readable], truth=truth, image=image)
