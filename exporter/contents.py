"""What goes into the bundle besides the models: golden set, reference, splits, ladder, manifest."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgetl import __version__
from edgetl.exporter import golden, reference
from edgetl.exporter.calibration import pictures_of
from edgetl.exporter.models import ModelFile
from edgetl.exporter.options import Options
from edgetl.exporter.remembering import detector_record
from edgetl.runtime.manifest import (
    DETECTOR_VERSION,
    FORMAT_VERSION,
    GOLDEN_NAME,
    REFERENCE_NAME,
    SPLITS_NAME,
    Lineage,
    Manifest,
    Measured,
)  # fmt: skip
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.runtime.timestamp import utc_now
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run, SplitRecord

TOOLS = (
    "torch", "timm", "onnx", "onnxruntime", "ai-edge-litert", "opencv-python", "numpy",
)  # fmt: skip


def describing_files(run: Run, data: Path, quantized: tuple[ModelFile, ...], reporter: Reporter) -> dict[str, bytes]:
    """Golden set, reference and splits, by their names in the bundle."""
    how, rule = run.record.preprocessing, run.record.rule
    fast = [f.open() for f in quantized]
    val = pictures_of(run, "val", data)
    made = golden.make(val, data, how, rule, [f.open("reference") for f in quantized], fast)
    if made.unsettled:
        reporter.say(
            f"warning: the golden set has {len(made.record.pictures)} pictures alone: on {made.unsettled} others the device's kernels and "
            "the reference kernels give different verdicts"
        )
    held_out = [*val, *pictures_of(run, "calibration", data)]
    first = fast[0]
    sure = reference.confidence(first.info.model, (i for _, i in _inputs(run, data, held_out)), first.logits, rule)
    train = [s for s in run.splits if s.split == "train"]
    seen = reference.describe(_inputs(run, data, train), sure)
    by_split: dict[str, list[str]] = {}
    for record in run.splits:
        by_split.setdefault(record.split, []).append(record.sha256)
    return {
        **made.files,
        GOLDEN_NAME: msgspec.json.encode(made.record),
        REFERENCE_NAME: msgspec.json.encode(seen),
        SPLITS_NAME: json.dumps(by_split).encode(),
    }


def _inputs(run: Run, data: Path, pictures: list[SplitRecord]) -> Iterator[tuple[str, Image]]:
    for picture in pictures:
        frame = decode(read_bytes(data / picture.path), picture.path)
        yield picture.label, preprocess(frame, run.record.preprocessing)


def manifest_of(
    run: Run,
    options: Options,
    models: list[ModelFile],
    measured: tuple[Measured, ...],
    rung: str,
    calibration: tuple[str, ...],
) -> Manifest:
    """The manifest, but for the records of files."""
    detector = detector_record(models)
    return Manifest(
        format_version=FORMAT_VERSION if detector is None else DETECTOR_VERSION,
        name=options.name,
        created=utc_now(),
        rule=run.record.rule,
        preprocessing=run.record.preprocessing,
        models=tuple(m.record for m in models),
        measured=measured,
        lineage=Lineage(
            run=run.folder.resolve().name,
            backbone=run.settings.model,
            weights=run.record.weights,
            trained=run.record.created,
            seed=run.settings.seed,
            calibration=tuple(sorted(calibration)),
            rung=rung,
        ),
        tools={"edgetl": __version__, **{name: importlib.metadata.version(name) for name in TOOLS}},
        files={},
        detector=detector,
    )
