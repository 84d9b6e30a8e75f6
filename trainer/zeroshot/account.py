"""The guesses for others to take up: a table, a folder to review, class folders."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edgetl.errors import PictureError, UsageError, storage
from edgetl.runtime.collect.record import RECORD_SUFFIX, Collected, Reason
from edgetl.runtime.decision import DecisionRule, decide_chances, usual_ok_labels
from edgetl.runtime.files import write_file
from edgetl.runtime.picture import read_picture
from edgetl.runtime.timestamp import utc_now
from edgetl.trainer.review.merge import beside, link
from edgetl.trainer.zeroshot.guessing import Guesses

_REASON: dict[str, Reason] = {"UNKNOWN": "unsure", "NG": "reject", "OK": "random"}


def write_table(path: Path, found: Guesses) -> None:
    """Writes all guesses as CSV or JSON, by the file's suffix."""
    if path.suffix == ".json":
        write_file(path, msgspec.json.format(msgspec.json.encode(found)))
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "sha256", "label", "confidence", *(f"chance of {label}" for label in found.labels)])
    for guess in found.guesses:
        chances = [f"{chance:.6f}" for chance in guess.chances]
        writer.writerow([guess.path, guess.sha256, guess.label, f"{guess.confidence:.6f}", *chances])
    write_file(path, text.getvalue())


def check_targets(table: Path | None, folders: Path | None) -> None:
    """Raises UsageError, before anything is computed, where what was asked for could not be written."""
    if table is not None and table.suffix not in (".csv", ".json"):
        raise UsageError(f"--out {table}: a table is a .csv or a .json file")
    if folders is not None and folders.exists() and (not folders.is_dir() or any(folders.iterdir())):
        raise UsageError(f"--folders {folders}: is there already; name a new folder")


def rule_of(labels: tuple[str, ...], ok: tuple[str, ...], min_score: float) -> DecisionRule:
    """By what a guess becomes OK, NG or UNKNOWN for those who review it. Raises UsageError."""
    if unknown := sorted(set(ok) - set(labels)):
        raise UsageError(f"--ok {', '.join(unknown)}: no such class; --classes names {', '.join(labels)}")
    return DecisionRule(labels, ok or usual_ok_labels(labels), min_score=min_score)


def write_review(data: Path, out: Path, found: Guesses, rule: DecisionRule) -> None:
    """Writes the pictures and their guesses as `edgetl review` takes them: PNG files, each with a record beside it."""
    for number, guess in enumerate(found.guesses):
        png = _png(data / guess.path)
        verdict = decide_chances(np.array(guess.chances), rule).verdict
        name = f"guess-{number:06d}-{guess.sha256[:12]}"
        record = Collected(
            picture=f"{name}.png", sha256=hashlib.sha256(png).hexdigest(), size_bytes=len(png), reasons=(_REASON[verdict],), verdict=verdict,
            label=guess.label, score=guess.confidence, labels=found.labels, bundle=f"clip:{found.model}", sequence=number,
            device=guess.path, time=utc_now(),
        )  # fmt: skip
        write_file(out / f"{name}.png", png)
        write_file(out / f"{name}{RECORD_SUFFIX}", msgspec.json.format(msgspec.json.encode(record)))


def write_folders(data: Path, out: Path, found: Guesses, min_score: float) -> None:
    """Links or copies the pictures whose guess is sure enough to `out`/<label>/, each under a name of its own."""
    with storage(out):
        for guess in found.guesses:
            if guess.confidence >= min_score:
                target = out / guess.label / guess.path.replace("/", "__")
                if target.exists():  # `a/b.jpg` and `a__b.jpg`
                    target = beside(target, guess.sha256)
                link(data / guess.path, target)


def _png(path: Path) -> bytes:
    done, encoded = cv2.imencode(".png", read_picture(path))
    if not done:
        raise PictureError(f"{path}: cannot be written as PNG")
    return encoded.tobytes()
