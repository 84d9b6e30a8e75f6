"""One export from a run folder to a bundle that was measured before it was written."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from edgetl import __version__
from edgetl.errors import ExportError, UsageError, storage
from edgetl.exporter import calibration, deployed, golden, onnx_int8, reference, tflite
from edgetl.exporter.bundle_writer import write_bundle
from edgetl.exporter.card import write_card
from edgetl.exporter.measuring import FLOAT, MEASURED_SPLITS, Judged, check_drop, judge, table
from edgetl.runtime.evaluation import Logits
from edgetl.runtime.interpreters import Interpreter, open_interpreter
from edgetl.runtime.manifest import (
    CARD_NAME,
    FORMAT_VERSION,
    GOLDEN_NAME,
    REFERENCE_NAME,
    SPLITS_NAME,
    Lineage,
    Manifest,
    ModelRecord,
)  # fmt: skip
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import preprocess
from edgetl.trainer.judge import float_logits
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run, SplitRecord

# The models of a bundle: record, file in the work folder, interpreter that measures it here.
INT8_TFLITE = (ModelRecord("model/int8.tflite", "tflite", "int8"), "int8.tflite", "litert")
INT8_ONNX = (ModelRecord("model/int8.onnx", "onnx", "int8"), "int8.onnx", "onnxruntime")
FLOAT_TFLITE = (ModelRecord("model/float32.tflite", "tflite", "float32"), "float32.tflite", "litert")
MODELS = (INT8_TFLITE, INT8_ONNX, FLOAT_TFLITE)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to export. `max_drop` in points of balanced accuracy; `data` overrules the folder named in the run."""

    out: Path
    data: Path | None = None
    max_drop: float = 1.0
    min_score: float = 0.5
    with_float: bool = True
    keep: Path | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.max_drop):  # no loss is larger than NaN, so the gate would never shut
            raise UsageError("--max-drop nan: not a number of points")
        if not 0 <= self.min_score <= 1:
            raise UsageError(f"--min-score {self.min_score}: not a probability from 0 to 1")


def export(run: Run, options: Options, reporter: Reporter) -> Manifest:
    """Converts, quantizes, measures and writes the bundle. Raises ExportError, GateError; then no bundle is left."""
    data = options.data or Path(run.settings.data)
    _check_out(options.out)
    _check_pictures(run, data)
    with _work_folder(options.keep) as folder:
        _convert(run, data, folder, reporter)
        models = [m for m in MODELS if options.with_float or m is not FLOAT_TFLITE]
        rule = msgspec.structs.replace(run.record.rule, min_score=options.min_score)
        run.record.rule = rule
        interpreters = {m[0].path: _open(folder, m) for m in models}
        float_model, others = _measure(run, data, interpreters, reporter)
        for judged in others:
            drop = check_drop(float_model, judged, options.max_drop)
            reporter.say(f"{judged.model}: {drop:+.2f} points lost against float")
        files = _files(run, data, folder, models, interpreters)
        manifest = _manifest(run, options, models, table(float_model, others))
        files[CARD_NAME] = write_card(manifest).encode()
        write_bundle(options.out, manifest, files)
    return manifest


def _check_out(out: Path) -> None:
    """Meets an unwritable place before minutes of conversion, not after."""
    with storage(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(out))
        with tempfile.TemporaryFile(dir=out.parent):
            pass


def _check_pictures(run: Run, data: Path) -> None:
    """Refuses where the pictures to calibrate and measure with are not the ones of the run."""
    for record in run.splits:
        if record.split in ("calibration", *MEASURED_SPLITS):
            path = data / record.path
            found = hashlib.sha256(read_bytes(path)).hexdigest() if path.is_file() else "missing"
            if found != record.sha256:
                what = "is missing" if found == "missing" else "was changed since the training run"
                raise ExportError(f"{path}: {what}; name the folder with the run's own pictures with --data")


@contextmanager
def _work_folder(keep: Path | None) -> Iterator[Path]:
    """A folder for intermediate files; removed afterwards unless `keep` names one, or an error points to a log there."""
    if keep is not None:
        with storage(keep):
            keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with storage(tempfile.gettempdir()):
        folder = Path(tempfile.mkdtemp(prefix="edgetl-export-"))
    pointed_to = False
    try:
        yield folder
    except ExportError as error:
        pointed_to = str(folder) in str(error)
        raise
    finally:
        if not pointed_to:
            shutil.rmtree(folder, ignore_errors=True)


def _convert(run: Run, data: Path, folder: Path, reporter: Reporter) -> None:
    """Writes all model files; the two quantizations run side by side, since TFLite's has a process of its own."""
    reporter.begin("export", 4)
    done = 0

    def timed(name: str, step: Callable[[], None]) -> None:
        nonlocal done
        start = time.monotonic()
        step()
        done += 1
        reporter.advance(done, name)
        reporter.say(f"{name}: {time.monotonic() - start:.1f} s")

    timed("torch to ONNX", lambda: deployed.write_onnx(run.network(), run.settings.imgsz, folder / "model.onnx"))
    timed("calibration set", lambda: _write_calibration(run, data, folder))
    with ThreadPoolExecutor(1) as beside:
        converted = beside.submit(timed, "TFLite", lambda: tflite.convert(folder))
        timed("int8 ONNX", lambda: onnx_int8.quantize(folder))
        converted.result()


def _write_calibration(run: Run, data: Path, folder: Path) -> None:
    pictures = calibration.pictures_of(run, "calibration", data)
    calibration.write_calibration(pictures, data, run.record.preprocessing, folder / "calibration.npy")


def _open(folder: Path, model: tuple[ModelRecord, str, str]) -> Interpreter:
    record, file, library = model
    return open_interpreter(library, (folder / file).read_bytes(), record.path)


def _measure(
    run: Run, data: Path, interpreters: dict[str, Interpreter], reporter: Reporter
) -> tuple[Judged, list[Judged]]:
    by_split = {split: calibration.pictures_of(run, split, data) for split in MEASURED_SPLITS}
    by_split = {split: pictures for split, pictures in by_split.items() if pictures}
    judges = [(FLOAT, float_logits(run)), *((name, i.logits) for name, i in interpreters.items())]
    how, rule = run.record.preprocessing, run.record.rule
    totals = dict.fromkeys((name for name, _ in judges), 0)
    reporter.begin("measuring", len(judges) * max(map(len, by_split.values())))

    def measured(name: str, logits: Logits) -> Judged:
        def advance(done: int, _of: int) -> None:
            totals[name] = done
            reporter.advance(sum(totals.values()))

        return judge(name, logits, by_split, data, how, rule, advance)

    # Side by side: each model has one thread to itself while it infers, outside Python's lock.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        judged = list(pool.map(lambda item: measured(*item), judges))
    return judged[0], judged[1:]


def _files(
    run: Run, data: Path, folder: Path, models: list[tuple[ModelRecord, str, str]], fast: dict[str, Interpreter]
) -> dict[str, bytes]:
    """Everything in the bundle but manifest and card."""
    how, rule = run.record.preprocessing, run.record.rule
    int8 = [m for m in models if m[0].precision == "int8"]
    references = [
        open_interpreter(library, (folder / file).read_bytes(), record.path, 1, "reference")
        for record, file, library in int8
    ]
    val = calibration.pictures_of(run, "val", data)
    made = golden.make(val, data, how, rule, references, [fast[m[0].path] for m in int8])
    train = [s for s in run.splits if s.split == "train"]
    seen = reference.describe(_inputs(run, data, train))
    by_split: dict[str, list[str]] = {}
    for record in run.splits:
        by_split.setdefault(record.split, []).append(record.sha256)
    return {
        **{record.path: (folder / file).read_bytes() for record, file, _ in models},
        **made.files,
        GOLDEN_NAME: msgspec.json.encode(made.record),
        REFERENCE_NAME: msgspec.json.encode(seen),
        SPLITS_NAME: json.dumps(by_split).encode(),
    }


def _inputs(run: Run, data: Path, pictures: list[SplitRecord]) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
    for picture in pictures:
        yield preprocess(decode(read_bytes(data / picture.path), picture.path), run.record.preprocessing)


def _manifest(
    run: Run,
    options: Options,
    models: list[tuple[ModelRecord, str, str]],
    measured: tuple,  # type: ignore[type-arg]
) -> Manifest:
    tools = (
        "torch",
        "timm",
        "onnx",
        "onnx2tf",
        "tensorflow",
        "onnxruntime",
        "ai-edge-litert",
        "opencv-python",
        "numpy",
    )
    return Manifest(
        format_version=FORMAT_VERSION,
        name=options.out.name.removesuffix(".edgetl"),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        rule=run.record.rule,
        preprocessing=run.record.preprocessing,
        models=tuple(m[0] for m in models),
        measured=measured,
        lineage=Lineage(
            run=run.folder.resolve().name,
            backbone=run.settings.model,
            weights=run.record.weights,
            trained=run.record.created,
            seed=run.settings.seed,
            calibration=tuple(sorted(s.sha256 for s in run.splits if s.split == "calibration")),
        ),
        tools={"edgetl": __version__, **{name: importlib.metadata.version(name) for name in tools}},
        files={},
    )
