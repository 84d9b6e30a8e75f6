"""Makes the golden set: real pictures that never trained, with what each model file gives for them here."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec

from edgetl.errors import ExportError
from edgetl.runtime.decision import DecisionRule, decide
from edgetl.runtime.golden import Expected, GoldenPicture, GoldenSet, digest_of, input_hash, sampled
from edgetl.runtime.interpreters import OpenedModel
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.trainer.run_folder import SplitRecord

PICTURES = 12
MAX_SIDE = 640  # px; a golden picture is a frame in its own right, so it may be smaller than the file it came from


class Golden(msgspec.Struct):
    """The golden set with its picture files (bytes by path in the bundle). `unsettled`: on how many more pictures a model's kernels
    disagreed, where that left fewer than wanted."""

    record: GoldenSet
    files: dict[str, bytes]
    unsettled: int = 0


def candidates(pictures: list[SplitRecord]) -> list[SplitRecord]:
    """The given pictures in the order in which they are wanted: classes in turn, so that every class is there."""
    by_label: dict[str, list[SplitRecord]] = {}
    for picture in sorted(pictures, key=lambda p: p.sha256):  # by hash: as good as random, and the same next time
        by_label.setdefault(picture.label, []).append(picture)
    turns = range(max(map(len, by_label.values()), default=0))
    return [group[turn] for turn in turns for _, group in sorted(by_label.items()) if turn < len(group)]


def make(
    pictures: list[SplitRecord], data: Path, how: Preprocessing, rule: DecisionRule,
    references: list[OpenedModel], fast: list[OpenedModel],
) -> Golden:  # fmt: skip
    """Runs every model over the chosen pictures: outputs from `references`, decisions from `fast`, in pairs."""
    wanted = max(PICTURES, len(rule.labels))
    records: list[GoldenPicture] = []
    files: dict[str, bytes] = {}
    unsettled = 0
    for picture in candidates(pictures):
        frame = _frame(decode(read_bytes(data / picture.path), picture.path))
        image = preprocess(frame, how)
        models = {r.info.model: _expected(image, r, f, rule) for r, f in zip(references, fast, strict=True)}
        settled = {name: expected for name, expected in models.items() if expected is not None}
        if len(settled) < len(models):
            unsettled += 1
            continue
        path = f"golden/{len(records):03d}.png"
        files[path] = _png(frame)
        records.append(GoldenPicture(path, picture.label, input_hash(image), settled))
        if len(records) == wanted:
            break
    if not records:
        raise ExportError(
            f"on none of {len(pictures)} val pictures do the device's kernels and the reference kernels give the same verdict, so that "
            "none can serve as golden: either the net was hardly trained, or a library computes one of its operators wrongly"
        )
    return Golden(GoldenSet(tuple(records)), files, unsettled if len(records) < wanted else 0)


def _frame(image: Image) -> Image:
    scale = MAX_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    frame: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return frame


def _png(frame: Image) -> bytes:
    good, data = cv2.imencode(".png", frame)
    if not good:
        raise ExportError("OpenCV could not write a golden picture")
    return data.tobytes()


def _expected(image: Image, reference: OpenedModel, fast: OpenedModel, rule: DecisionRule) -> Expected | None:
    """What a model gives, or None where its kernels already disagree here: a verdict on the edge proves nothing."""
    raw = reference.raw(image)
    decision, check = decide(fast.logits(image), rule), decide(reference.logits_of(raw), rule)
    if (decision.label, decision.verdict) != (check.label, check.verdict):
        return None
    outputs = tuple(float(v) for v in sampled(raw))
    return Expected(outputs, decision.label, decision.verdict, digest_of(raw))
