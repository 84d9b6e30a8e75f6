"""Can the class be told without looking at the part? Then a model may learn that instead."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.metrics import measure
from edgetl.trainer.datacheck.crossfit import out_of_fold
from edgetl.trainer.datacheck.facts import PictureFacts
from edgetl.trainer.datacheck.finding import Finding

# Balanced accuracy in points above chance, at the lower end of its interval, from which a set of facts is named.
TELLING = {"file": 0.15, "light": 0.35}
FILE_FACTS = ("width", "height")
_WORDS = {"file": "size and camera", "light": "light, colour and sharpness of the whole picture"}
_SAME = "take pictures of every class with the same camera, light and settings, mixed over the day"
_ADVICE = {"file": _SAME, "light": f"{_SAME}; where the part itself makes the difference, all is well"}


def shortcuts(facts: list[PictureFacts], groups: list[int], labels: tuple[str, ...]) -> Iterator[Finding]:
    """Findings for the file's facts (shape, camera) and for the light's (brightness, colour, sharpness).

    Each set of facts is given to a linear classifier, out of fold. Light may be part of the defect, so it must
    tell more before it is named.
    """
    truth = np.array([labels.index(f.label) for f in facts], np.int64)
    for what, (names, table) in {"file": _file_table(facts), "light": _light_table(facts)}.items():
        useful = table.std(axis=0) > 0
        if not useful.any():
            continue
        for told in _told(table[:, useful], truth, groups, labels, TELLING[what]):
            single = _most_telling(table, truth, names, labels, told.classes)
            yield Finding(
                kind=f"shortcut-{what}", severity="warning",
                message=f"{_WORDS[what]} alone tell {told.words} in {100 * told.accuracy:.0f} % (by chance "
                f"{100 * told.chance:.0f} %); most by {single}",
                advice=_ADVICE[what],
            )  # fmt: skip


class _Told(msgspec.Struct, frozen=True):
    """What some facts tell, how well (balanced accuracy), and how well chance does."""

    words: str
    classes: tuple[str, ...]
    accuracy: float
    chance: float


def _told(
    table: NDArray[np.float64], truth: NDArray[np.int64], groups: list[int], labels: tuple[str, ...], margin: float
) -> Iterator[_Told]:
    """All classes from each other; where they do not, each class from the rest: one that is always darker among many like ones
    gains them little."""
    accuracy, low = _accuracy(table, truth, groups, labels)
    if low >= 1 / len(labels) + margin:
        yield _Told("the class", labels, accuracy, 1 / len(labels))
    elif len(labels) > 2:
        for number, label in enumerate(labels):
            accuracy, low = _accuracy(table, (truth == number).astype(np.int64), groups, (f"not {label}", label))
            if low >= 0.5 + margin:
                yield _Told(f"{label} from the others", (label,), accuracy, 0.5)


def _accuracy(
    table: NDArray[np.float64], truth: NDArray[np.int64], groups: list[int], labels: tuple[str, ...]
) -> tuple[float, float]:
    """Balanced accuracy out of fold, and the lower end of its interval."""
    found = measure(truth, out_of_fold(table, truth, groups, len(labels)).argmax(axis=1), labels)
    return found.balanced_accuracy, found.balanced_accuracy_interval.low


def _file_table(facts: list[PictureFacts]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    cameras = sorted({f.camera for f in facts})
    # Not the file's size: what a picture shows, a defect too, changes how well it is compressed.
    rows = [(f.width, f.height, *(float(f.camera == c) for c in cameras[1:])) for f in facts]
    names = (*FILE_FACTS, *(f"camera {c}" for c in cameras[1:]))
    return names, np.array(rows, np.float64)


def _light_table(facts: list[PictureFacts]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    names = ("brightness", "contrast", "red_share", "blue_share", "sharpness")
    rows = [[np.log1p(f.figures[n]) if n == "sharpness" else f.figures[n] for n in names] for f in facts]
    return tuple(n.replace("_", " ") for n in names), np.array(rows, np.float64)


def _most_telling(
    table: NDArray[np.float64],
    truth: NDArray[np.int64],
    names: tuple[str, ...],
    labels: tuple[str, ...],
    among: tuple[str, ...],
) -> str:
    """The fact whose order best parts one class of `among` from the rest (area under the ROC curve), in words."""
    best = (0.0, "")
    for column, name in enumerate(names):
        for label in among:
            index = labels.index(label)
            area = _area(table[:, column], truth == index)
            side = "higher" if area > 0.5 else "lower"
            best = max(
                best, (abs(area - 0.5), f"{name}: {label} is {side} in {100 * max(area, 1 - area):.0f} % of pairs")
            )
    return best[1]


def _area(values: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """How often a member's value is above a non-member's, ties counted half (Mann and Whitney, 1947)."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    for value in np.unique(values):  # ties share their mean rank
        same = values == value
        ranks[same] = ranks[same].mean()
    n, m = int(inside.sum()), int((~inside).sum())
    return float((ranks[inside].sum() - n * (n + 1) / 2) / (n * m)) if n and m else 0.5
