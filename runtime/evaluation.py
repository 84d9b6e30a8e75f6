"""Accuracy on labelled pictures: one code for float, TFLite and ONNX, on the workstation and on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DatasetError, PictureError
from edgetl.runtime.anomaly.record import ANOMALY
from edgetl.runtime.dataset import Picture, list_pictures, sha256_of
from edgetl.runtime.decision import DecisionRule, decide, log_odds
from edgetl.runtime.metrics import Auroc, Metrics, auroc, measure
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess

Logits = Callable[[Image], NDArray[np.float32]]
Progress = Callable[[int, int], None]


class Evaluation(msgspec.Struct, kw_only=True):
    """What was evaluated and what came out. `verdicts` counts OK, NG and UNKNOWN by class; `scores` are the log odds of each
    picture's being bad, and `auroc` how well they tell good from bad, where the rule does."""

    model: str
    split: str
    metrics: Metrics
    verdicts: dict[str, dict[str, int]]
    passed_over: dict[str, str]
    predicted: dict[str, str]
    scores: dict[str, float] = {}
    auroc: Auroc | None = None


class Chosen(msgspec.Struct, frozen=True):
    """The pictures of one split, and why others are left out that lie in its folder."""

    pictures: list[Picture]
    left_out: dict[str, str]


def pictures_of_split(root: Path, split: str, recorded: dict[str, str]) -> Chosen:
    """The pictures of one split: those whose hash was `recorded` (SHA-256 to split) in it, and of the others those in the folder of
    that name; or `all`. So what trained is judged as such wherever it lies now; of copies in several folders that in the split's own
    counts. Raises DatasetError where there are none."""
    listing = list_pictures(root)
    if split == "all":
        return Chosen(list(listing.pictures), {})
    hashes = {p.path: _hash(root / p.path) for p in listing.pictures} if recorded else {}
    labels: dict[str, set[str]] = {}
    for picture in listing.pictures:
        labels.setdefault(hashes.get(picture.path, ""), set()).add(picture.label)
    chosen, left_out = [], {}
    inside = {hashes[p.path] for p in listing.of_split(split)} if recorded else set()
    for picture in listing.pictures:
        sha256 = hashes.get(picture.path, "")
        known, own = recorded.get(sha256), picture.split == split
        if (own and known is None) or (known == split and (own or sha256 not in inside)):
            if sha256 and len(labels[sha256]) > 1:
                left_out[picture.path] = f"the same picture is in class {' and '.join(sorted(labels[sha256]))}"
            else:
                chosen.append(picture)
        elif own and known != split:
            left_out[picture.path] = f"the training run has it in {known}"
    if not chosen:
        raise DatasetError(
            f"{root}: no pictures of split {split!r}: there is no such folder, and none of its pictures is recorded "
            "as such in the training run; use --split all to judge all of them"
        )
    return Chosen(chosen, left_out)


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except PictureError:
        return ""


def check_labels(root: Path, pictures: Iterable[Picture], labels: tuple[str, ...]) -> None:
    """Raises DatasetError where pictures carry a label that the model does not know."""
    if unknown := sorted({p.label for p in pictures} - set(labels)):
        raise DatasetError(f"{root}: class {', '.join(unknown)} is unknown to the model, which has {', '.join(labels)}")


def evaluate(
    root: Path, pictures: list[Picture], logits: Logits, how: Preprocessing, rule: DecisionRule,
    *, model: str, split: str, progress: Progress | None = None, input_of: Callable[[Path], Image] | None = None,
) -> Evaluation:  # fmt: skip
    """Judges every picture from its file on. Unreadable ones are passed over and reported. `input_of` gives the model input of a
    file where it is known already; it raises PictureError."""
    input_of = input_of or (lambda path: preprocess(read_picture(path), how))
    check_labels(root, pictures, rule.labels)
    truth: list[int] = []
    predicted: dict[str, str] = {}
    guessed: list[int] = []
    passed_over: dict[str, str] = {}
    scores: dict[str, float] = {}
    verdicts = {label: {"OK": 0, "NG": 0, "UNKNOWN": 0} for label in rule.labels}
    for done, picture in enumerate(pictures, start=1):
        try:
            image = input_of(root / picture.path)
        except PictureError as error:
            passed_over[picture.path] = str(error)
            continue
        answer = logits(image)
        decision = decide(answer, rule)
        truth.append(rule.labels.index(picture.label))
        guessed.append(decision.index)
        predicted[picture.path] = decision.label
        if rule.tells_good_from_bad:
            scores[picture.path] = log_odds(answer, rule)
        verdicts[picture.label][decision.verdict] += 1
        if progress:
            progress(done, len(pictures))
    if not truth:
        raise DatasetError(f"{root}: none of the {len(pictures)} pictures can be read")
    metrics = measure(np.array(truth, np.int64), np.array(guessed, np.int64), rule.labels)
    return Evaluation(
        model=model, split=split, metrics=metrics, verdicts=verdicts, passed_over=passed_over, predicted=predicted,
        scores=scores, auroc=_auroc(scores, truth, rule),
    )  # fmt: skip


def _auroc(scores: dict[str, float], truth: list[int], rule: DecisionRule) -> Auroc | None:
    bad = np.array([rule.labels[index] not in rule.ok_labels for index in truth])
    return auroc(np.array(list(scores.values())), bad) if scores else None


def in_two(pictures: Iterable[Picture], rule: DecisionRule) -> list[Picture]:
    """Pictures of whatever classes under the labels of a one-class rule: what is not good is an anomaly."""
    return [p if p.label in rule.ok_labels else msgspec.structs.replace(p, label=ANOMALY) for p in pictures]
