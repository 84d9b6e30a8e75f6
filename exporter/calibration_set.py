"""The calibration set: which pictures ranges are read from. The run's own, and frames of the real camera if given.

The rules, all seeded by the run: a frame that is in val or test, or nearly equal to one there, is left out, so is one without any contrast, and of
pictures that are nearly alike only one is kept; classes have equal shares where the folder names them.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DatasetError, PictureError, UsageError
from edgetl.exporter.calibration import calibrating, images_of, pictures_of
from edgetl.exporter.resemblance import Features, share_far
from edgetl.runtime.picture import SUFFIXES, decode, read_bytes
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.runtime.reference import figures_of
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run
from edgetl.trainer.splits import MAX_CALIBRATION, Sample, near_duplicate_groups
from edgetl.trainer.store import fingerprint

FEWEST = 8  # different frames that a folder must give; ranges from fewer are those of single parts
FLAT = 2.0  # grey levels of standard deviation below which a frame shows nothing: a covered or dark camera
FAR = 1.0  # standard deviations of a training picture's figure: nearly three of the mean of eight frames
COMPARED = 200  # training pictures that frames are compared with
MOST_FAR = 0.5  # of the frames, that may look like no training picture without a word
WATCHED = {"brightness": "light", "contrast": "contrast", "sharpness": "sharpness"}


class CalibrationSet(msgspec.Struct, frozen=True):
    """The model inputs (n×S×S×3 uint8), the SHA-256 of each picture's file, and what a user should know of them."""

    images: NDArray[np.uint8]
    sha256: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Frame(msgspec.Struct):
    """One readable frame of a folder; `label` is empty where the folder names no classes."""

    path: str
    label: str
    sha256: str
    image: Image


def calibration_set(
    run: Run, data: Path, frames: Path | None, reporter: Reporter, features: Features | None = None
) -> CalibrationSet:
    """The run's calibration pictures, joined by the frames of a folder, which `features` compares with train.
    Raises UsageError, ExportError."""
    own = list({p.sha256: p for p in calibrating(run, data)}.values())
    images = images_of(own, data, run.record.preprocessing)
    made = CalibrationSet(images, tuple(p.sha256 for p in own))
    if frames is not None:
        train = sorted(pictures_of(run, "train", data), key=lambda p: p.sha256)[:COMPARED]
        chosen, trained = chosen_frames(frames, run, data, reporter), images_of(train, data, run.record.preprocessing)
        notes = differences([figures_of(i) for i in trained], [figures_of(f.image) for f in chosen])
        notes += _unlike(trained, np.stack([f.image for f in chosen]), features)
        known = set(made.sha256)
        new = [f for f in chosen if f.sha256 not in known]
        both = np.concatenate([images, *(f.image[None] for f in new)])
        made = CalibrationSet(both, (*made.sha256, *(f.sha256 for f in new)), tuple(f"{frames}: {n}" for n in notes))
    reporter.say(f"calibration: {len(made.images)} pictures" + (f", of which {frames}" if frames is not None else ""))
    for warning in made.warnings:
        reporter.say(f"warning: {warning}")
    return made


def _unlike(trained: NDArray[np.uint8], seen: NDArray[np.uint8], features: Features | None) -> list[str]:
    """What the network says of the frames: whether most of them are like nothing that trained it."""
    if features is None or len(trained) < 2:
        return []
    far = share_far(features(trained), features(seen[:COMPARED]))
    if far <= MOST_FAR:
        return []
    return [
        f"to the network {100 * far:.0f} % of them look like no training picture (of those themselves 5 % do); if they show "
        "another object, they calibrate for what the model will not see"
    ]


def chosen_frames(folder: Path, run: Run, data: Path, reporter: Reporter) -> list[Frame]:
    """The frames of a folder that may calibrate; those that cannot be read are named. Raises UsageError where that leaves too few,
    saying why."""
    found, unreadable = _frames(folder, run.record.rule.labels, run.record.preprocessing)
    for reason in unreadable:
        reporter.say(f"passed over: {reason}")
    fresh = _not_judging(found, run, data)
    shown = [f for f in fresh if f.image.std(axis=(0, 1)).max() >= FLAT]
    distinct = without_copies(shown)
    if len(distinct) < FEWEST:
        raise UsageError(
            f"--calibration {folder}: {len(distinct)} usable frames, at least {FEWEST} are needed: of {len(found) + len(unreadable)} "
            f"pictures {len(unreadable)} cannot be read, {len(found) - len(fresh)} judge the model (in val or test, or nearly equal to one there), {len(fresh) - len(shown)} show nothing (one colour), "
            f"{len(shown) - len(distinct)} are nearly equal to another; collect more frames of different parts"
        )
    return stratified(distinct, MAX_CALIBRATION, run.settings.seed)


def _not_judging(frames: list[Frame], run: Run, data: Path) -> list[Frame]:
    """Without what is in val or test, or nearly equal to a picture there: saved anew, or of the same part a moment later."""
    judging = [s for s in run.splits if s.split in ("val", "test")]
    images = images_of(judging, data, run.record.preprocessing)
    samples = [Sample(s.path, "", s.sha256, None) for s in judging] + [
        Sample(f.path, "", f.sha256, None) for f in frames
    ]
    groups = near_duplicate_groups(samples, np.array([fingerprint(i) for i in (*images, *(f.image for f in frames))]))
    taken = set(groups[: len(judging)])
    return [frame for frame, group in zip(frames, groups[len(judging) :], strict=True) if group not in taken]


def check_frames(folder: Path, labels: tuple[str, ...]) -> tuple[list[Path], set[str]]:
    """The pictures of a folder, and the classes that it divides them into. Raises UsageError, DatasetError."""
    if not folder.is_dir():
        raise UsageError(f"--calibration {folder}: no such folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise UsageError(f"--calibration {folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    classes = {p.relative_to(folder).parts[0] for p in paths if len(p.relative_to(folder).parts) > 1}
    if strangers := sorted(classes - set(labels)):
        raise DatasetError(
            f"--calibration {folder}: folder {', '.join(strangers)} is no class of the run, which has "
            f"{', '.join(labels)}; if the frames are of this part, put them into one folder without sub-folders"
        )
    return paths, classes


def _frames(folder: Path, labels: tuple[str, ...], how: Preprocessing) -> tuple[list[Frame], list[str]]:
    """The frames of a folder, and why others cannot be read."""
    paths, classes = check_frames(folder, labels)
    frames, unreadable = [], []
    for path in paths:
        try:
            frames.append(_frame(path, path.relative_to(folder).parts[0] if classes else "", how))
        except PictureError as error:
            unreadable.append(str(error))
    return frames, unreadable


def _frame(path: Path, label: str, how: Preprocessing) -> Frame:
    data = read_bytes(path)
    return Frame(str(path), label, hashlib.sha256(data).hexdigest(), preprocess(decode(data, str(path)), how))


def without_copies(frames: list[Frame]) -> list[Frame]:
    """One frame of each group that is nearly alike, in their order."""
    if not frames:
        return []
    samples = [Sample(f.path, "", f.sha256, None) for f in frames]
    prints = np.array([fingerprint(f.image) for f in frames])
    groups = near_duplicate_groups(samples, prints)
    return [frame for i, frame in enumerate(frames) if groups.index(groups[i]) == i]


def stratified(frames: list[Frame], most: int, seed: int) -> list[Frame]:
    """At most so many frames, the classes in turn, drawn by seed; in the order of their paths."""
    by_label: dict[str, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda f: f.sha256):
        by_label[frame.label].append(frame)
    for label, group in by_label.items():
        random.Random(f"{seed} {label}").shuffle(group)
    turns = range(max(map(len, by_label.values()), default=0))
    drawn = [group[turn] for turn in turns for _, group in sorted(by_label.items()) if turn < len(group)]
    return sorted(drawn[:most], key=lambda f: f.path)


def differences(trained: list[dict[str, float]], seen: list[dict[str, float]]) -> list[str]:
    """In which figures the frames lie far from the training pictures, in words."""
    notes = []
    for name, word in WATCHED.items():
        before, now = np.array([f[name] for f in trained]), np.array([f[name] for f in seen])
        spread = max(float(before.std()), 1e-6)
        if abs(now.mean() - before.mean()) > FAR * spread:
            notes.append(
                f"{word} differs from the training pictures': {name} {now.mean():.1f} on the average, there "
                f"{before.mean():.1f} ± {spread:.1f}; the model may judge such frames worse than it was measured"
            )
    return notes
