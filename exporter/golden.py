"""Makes the golden set: real pictures that never trained, with what each model file gives for them here."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec

from edgetl.errors import ExportError
from edgetl.runtime.decision import DecisionRule, decide
from edgetl.runtime.golden import Expected, GoldenPicture, GoldenSet, input_hash
from edgetl.runtime.interpreters import Interpreter
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.trainer.run_folder import SplitRecord

PICTURES = 12
MAX_SIDE = 640  # px; a golden picture is a frame in its own right, so it may be smaller than the file it came from


class Golden(msgspec.Struct):
    """The golden set with its picture files (bytes by path in the bundle)."""

    record: GoldenSet
    files: dict[str, bytes]


def choose(pictures: list[SplitRecord]) -> list[SplitRecord]:
    """At most PICTURES of the given pictures, classes in turn, so that every class is there."""
    by_label: dict[str, list[SplitRecord]] = {}
    for picture in sorted(pictures, key=lambda p: p.sha256):  # by hash: as good as random, and the same next time
        by_label.setdefault(picture.label, []).append(picture)
    chosen: list[SplitRecord] = []
    wanted = max(PICTURES, len(by_label))
    for turn in range(max(map(len, by_label.values()), default=0)):
        chosen += [group[turn] for _, group in sorted(by_label.items()) if turn < len(group)]
    return chosen[:wanted]


def make(
    pictures: list[SplitRecord], data: Path, how: Preprocessing, rule: DecisionRule,
    references: list[Interpreter], fast: list[Interpreter],
) -> Golden:  # fmt: skip
    """Runs every model over the chosen pictures: outputs from `references`, decisions from `fast`, in pairs."""
    if not pictures:
        raise ExportError("the run has no val pictures for the golden set; train again")
    records, files = [], {}
    for number, picture in enumerate(choose(pictures)):
        path = f"golden/{number:03d}.png"
        frame = _frame(decode(read_bytes(data / picture.path), picture.path))
        files[path] = _png(frame)
        image = preprocess(frame, how)
        models = {r.info.model: _expected(image, r, f, rule) for r, f in zip(references, fast, strict=True)}
        records.append(GoldenPicture(path, picture.label, input_hash(image), models))
    return Golden(GoldenSet(tuple(records)), files)


def _frame(image: Image) -> Image:
    scale = MAX_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(image.dtype, copy=False)


def _png(frame: Image) -> bytes:
    good, data = cv2.imencode(".png", frame)
    if not good:
        raise ExportError("OpenCV could not write a golden picture")
    return data.tobytes()


def _expected(image: Image, reference: Interpreter, fast: Interpreter, rule: DecisionRule) -> Expected:
    decision = decide(fast.logits(image), rule)
    outputs = tuple(float(v) for v in reference.raw(image))
    return Expected(outputs, decision.label, decision.verdict)
