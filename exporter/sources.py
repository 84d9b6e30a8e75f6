"""The float graphs that rungs begin from, each made once, and the pictures that calibrate them."""

from __future__ import annotations

import gc
import shutil
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import ExportError, storage
from edgetl.exporter import calibration, conversion, deployed
from edgetl.exporter.calibration_set import CalibrationSet, calibration_set
from edgetl.exporter.golden import candidates
from edgetl.exporter.ladder.rungs import Rung, Weights, rungs_of
from edgetl.exporter.onnx_weights import write_exchanged
from edgetl.exporter.options import Options
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.resemblance import features_by
from edgetl.exporter.reworking import Reworking
from edgetl.exporter.work_folder import MORE
from edgetl.trainer.allocation import return_freed_memory
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run

DISTILLING = 0.6  # of the time that is left; the rest is for converting and measuring what came of it
MOST_MORE = 400  # pictures of train that calibrate on the rung of more pictures


class Sources:
    """One run's graphs below `folder`: a folder for each kind of weights, with `model.onnx` and the calibration pictures."""

    def __init__(self, run: Run, data: Path, folder: Path, options: Options, reporter: Reporter) -> None:
        self._run = run
        self._data = data
        self._folder = folder
        self._options = options
        self._reporter = reporter
        self._calibrating: CalibrationSet | None = None
        self._more: tuple[str, ...] = ()

    def of(self, rung: Rung, left_s: float) -> Path:
        """What a rung quantizes; making it may take so many seconds."""
        folder = self.source(rung.weights, left_s)
        return self._with_more(folder) if rung.more else folder

    def source(self, weights: Weights, left_s: float = 0.0) -> Path:
        """The folder with the float ONNX graph of such weights; making them may take so many seconds."""
        folder = self._folder / weights.replace(" ", "-")
        if folder.exists():
            return folder
        with storage(folder):
            folder.mkdir(parents=True)
            (folder / conversion.CALIBRATION_NAME).symlink_to(self.calibration())
        graph = folder / conversion.ONNX_NAME
        if weights == "as trained":
            conversion.timed(self._reporter, "torch to ONNX", lambda: self._write_trained(graph))
            gc.collect()  # torch's traces of the net refer to each other
            return_freed_memory()
        else:
            known = self.source("as trained") / conversion.ONNX_NAME
            conversion.timed(self._reporter, f"weights {weights}", lambda: self._write(weights, known, graph, left_s))
        conversion.folded_onnx(folder, framed=weights != "as trained" and self._frames)
        return folder

    @property
    def _frames(self) -> bool:
        """Whether the target takes pixels with a frame around them."""
        target = self._options.target
        return target is None or target.engine.frames

    def _write_trained(self, out: Path) -> None:
        size = self._run.record.preprocessing.size
        try:
            deployed.write_module(self._reworking.trained, size, out)
        except ExportError:  # some nets can be traced for one picture only; of others, the error is to name the layer
            deployed.write_onnx(self._run.network(), size, out)

    def _write(self, weights: Weights, known: Path, out: Path, left_s: float) -> None:
        reworking = self._reworking
        graph = reworking.equalized if weights == "equalized" else reworking.distilled(DISTILLING * left_s)
        if not write_exchanged(known, reworking.trained, graph, out):
            deployed.write_module(graph, self._run.record.preprocessing.size, out)

    def quantization(self, rung: Rung, source: Path) -> Quantization:
        """The rung's quantization, with the layers named that stay in float."""
        if not rung.kept:
            return rung.quantization
        kept = self._reworking.most_sensitive(rung.kept, conversion.folded_onnx(source))
        return msgspec.structs.replace(rung.quantization, kept=tuple(kept))

    def calibration(self) -> Path:
        """The .npy of the pictures that calibrate."""
        path = self._folder / conversion.CALIBRATION_NAME
        if self._calibrating is None:
            frames = self._options.calibration
            features = features_by(self._run) if frames is not None else None
            made = calibration_set(self._run, self._data, frames, self._reporter, features)
            calibration.save(made.images, path)
            self._calibrating = msgspec.structs.replace(made, images=made.images[:0])
        return path

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of the calibration pictures."""
        return self._calibrating.warnings if self._calibrating is not None else ()

    def calibrated_with(self, rung: str) -> tuple[str, ...]:
        """The hashes of the pictures that a rung's ranges were read from."""
        own = self._calibrating.sha256 if self._calibrating is not None else ()
        return (*own, *self._more) if rungs_of(rung)[0].more else own

    def _with_more(self, source: Path) -> Path:
        """The same weights in a folder of their own, beside which pictures of train calibrate too."""
        folder = source.with_name(source.name + MORE)
        if not folder.exists():
            train = candidates(calibration.pictures_of(self._run, "train", self._data))[:MOST_MORE]
            self._more = tuple(dict.fromkeys(p.sha256 for p in train))
            more = calibration.images_of(train, self._data, self._run.record.preprocessing)
            with storage(folder):
                shutil.copytree(source, folder, symlinks=True)
                (folder / conversion.CALIBRATION_NAME).unlink()
            own = np.load(source / conversion.CALIBRATION_NAME)
            calibration.save(np.concatenate([own, more]), folder / conversion.CALIBRATION_NAME)
            self._reporter.say(f"calibration: {len(own)} pictures and {len(more)} of train")
        return folder

    @cached_property
    def _reworking(self) -> Reworking:
        return Reworking(self._run, self._data, self.calibration(), self._reporter)
