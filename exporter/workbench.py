"""Tries rungs: makes the weights and files of each, proves them, and measures them on the acceptance pictures."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import ExportError, ModelError, storage
from edgetl.exporter import calibration, conversion, deployed, onnx_int8
from edgetl.exporter.calibration_set import CalibrationSet, calibration_set
from edgetl.exporter.deadline import NEVER, Deadline
from edgetl.exporter.golden import candidates
from edgetl.exporter.ladder.climb import Tried
from edgetl.exporter.ladder.gate import Outcome, pass_or_refuse
from edgetl.exporter.ladder.rungs import Rung, Weights, rungs_of
from edgetl.exporter.ladder.scores import with_scores
from edgetl.exporter.ladder.verdicts import with_verdicts
from edgetl.exporter.measuring import ACCEPTANCE, Judged, expected_flips, gain_of, judge, verdicts_of
from edgetl.exporter.models import ModelFile
from edgetl.exporter.options import Options
from edgetl.exporter.proving import fit_models, prove_models
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.remembering import with_detectors
from edgetl.exporter.resemblance import features_by
from edgetl.exporter.reworking import Reworking
from edgetl.exporter.tflite import Converter
from edgetl.exporter.tflite_metadata import Description, with_metadata
from edgetl.exporter.unconvertible import cause_in_run
from edgetl.exporter.work_folder import MORE, RUNGS, log_of
from edgetl.runtime.evaluation import Logits
from edgetl.runtime.files import write_file
from edgetl.runtime.graphs import read_tflite
from edgetl.runtime.proof import Proofs
from edgetl.runtime.spare import cores
from edgetl.trainer.judge import float_logits
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import FLOAT, Run

DISTILLING = 0.6  # of the time that is left; the rest is for converting and measuring what came of it
MOST_MORE = 400  # pictures of train that calibrate on the rung of more pictures


class Models(msgspec.Struct, frozen=True):
    """The quantized files of one rung, what their bytes prove, and their answers on the acceptance pictures."""

    files: tuple[ModelFile, ...]
    proofs: Proofs
    judged: tuple[Judged, ...]


def _why(error: ModelError, files: tuple[ModelFile, ...]) -> str:
    """What stopped the interpreter, with operator and layer where it tells."""
    stopped = [f for f in files if f.record.format == "tflite" and str(error).startswith(f"{f.record.path}: ")]
    causes = [cause_in_run(str(error), read_tflite(f.path.read_bytes(), f.record.path)) for f in stopped]
    return next((cause for cause in causes if cause), str(error))


class Workbench:
    """One run on its way through the rungs; what several of them need is made once."""

    def __init__(self, run: Run, data: Path, folder: Path, options: Options, reporter: Reporter) -> None:
        self._run = run
        self._data = data
        self._folder = folder
        self._options = options
        self._reporter = reporter
        self._float: Judged | None = None
        log = log_of(run.folder, options.name)
        self._converter = Converter(log=log) if options.converter is None else Converter(options.converter, log)
        self._calibrating: CalibrationSet | None = None
        self._more: tuple[str, ...] = ()
        self._deadline = NEVER
        self._begun = False

    def attempt(self, rung: Rung, left_s: float) -> Tried[Models]:
        """One rung's models before the gate. The first takes what time it needs, so that there is one at all; another that
        has not come to its end within `left_s` is ended. Raises ExportError."""
        self._reporter.say(f"rung {rung.name}: {rung.means}")
        self._deadline, self._begun = Deadline(left_s) if self._begun else NEVER, True
        source = self.source(rung.weights, left_s)
        if rung.more:
            source = self._with_more(source)
        self._deadline.check()
        how, converter = self._with_kept(rung, source), self._bounded()
        files = conversion.quantize(
            source, how, self._folder / RUNGS / rung.name, self._reporter, converter, self._deadline
        )
        proofs = self._described_and_proved(files)
        try:
            files = with_detectors(self._run, self._data, files, self._reporter)
            judged = self.measure({f.record.path: f.open().logits for f in files}, ACCEPTANCE)
        except ModelError as error:
            raise ExportError(f"a file of this rung does not run here: {_why(error, files)}") from error
        outcomes = tuple(self.before_the_gate(j) for j in judged)
        return Tried(Models(files, proofs, tuple(judged)), outcomes, {f.record.path: f.size for f in files})

    def before_the_gate(self, judged: Judged) -> Outcome:
        """How the gate finds a model that was measured on the acceptance pictures."""
        plain, limits, rule = self.float_judged(), self._options.limits, self._run.record.rule
        before, after = (j.by_split[ACCEPTANCE] for j in (plain, judged))
        truth = {s.path: s.label for s in self._run.splits}
        if self._run.record.detector is not None:  # each file's scores are in units of its own, so no gain is asked for
            outcome = pass_or_refuse(judged.model, truth, before.predicted, after.predicted, limits)
            outcome = with_scores(outcome, truth, before.scores, after.scores, rule, limits)
        else:
            logits = plain.logits[ACCEPTANCE], judged.logits[ACCEPTANCE]
            outcome = pass_or_refuse(
                judged.model,
                truth,
                before.predicted,
                after.predicted,
                limits,
                gain_of(*logits),
                expected_flips(*logits),
            )
        ours, theirs = (verdicts_of(j, ACCEPTANCE, rule) for j in (plain, judged))
        return with_verdicts(outcome, ours, theirs, rule, limits)

    def float_judged(self) -> Judged:
        """The float network on the acceptance pictures."""
        if self._float is None:
            self._float = self.measure({FLOAT: float_logits(self._run)}, ACCEPTANCE)[0]
        return self._float

    def float_file(self) -> ModelFile:
        """The float TFLite model of the weights as they were trained."""
        file = conversion.float_model(self.source("as trained"), self._converter)
        self._describe(file)
        return with_detectors(self._run, self._data, (file,), self._reporter)[0]

    def source(self, weights: Weights, left_s: float = 0.0) -> Path:
        """The folder with the float ONNX graph of such weights; making them may take so many seconds."""
        folder = self._folder / weights.replace(" ", "-")
        if folder.exists():
            return folder
        with storage(folder):
            folder.mkdir(parents=True)
            (folder / conversion.CALIBRATION_NAME).symlink_to(self._calibration())
        graph, size = folder / conversion.ONNX_NAME, self._run.record.preprocessing.size

        def write() -> None:
            if weights == "as trained":
                deployed.write_onnx(self._run.network(), size, graph)
            elif weights == "equalized":
                deployed.write_module(self._reworking.equalized, size, graph)
            else:
                deployed.write_module(self._reworking.distilled(DISTILLING * left_s), size, graph)

        conversion.timed(self._reporter, f"torch to ONNX, weights {weights}", write)
        return folder

    @property
    def _features(self) -> int:
        """How many values of feature maps the run's network gives; 0 where it gives logits."""
        record = self._run.record.detector
        return 0 if record is None else record.values

    @cached_property
    def _reworking(self) -> Reworking:
        return Reworking(self._run, self._data, self._calibration(), self._reporter)

    def _with_kept(self, rung: Rung, source: Path) -> Quantization:
        """The rung's quantization, with the layers named that stay in float."""
        if not rung.kept:
            return rung.quantization
        conversion.float_model(source, self._bounded())
        tflite, onnx = self._reworking.most_sensitive(
            rung.kept, (source / "float32.tflite").read_bytes(), conversion.folded_onnx(source)
        )
        return msgspec.structs.replace(rung.quantization, kept_tflite=tuple(tflite), kept_onnx=tuple(onnx))

    def _calibration(self) -> Path:
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

    def _bounded(self) -> Converter:
        """The converter, ended where the rung's time ends."""
        return msgspec.structs.replace(self._converter, timeout_s=min(self._converter.timeout_s, self._deadline.left_s))

    def _described_and_proved(self, files: tuple[ModelFile, ...]) -> Proofs:
        """Writes the metadata that other tools read into the TFLite file, and proves the files from their bytes."""
        target = self._options.target
        for file in files:
            in_int8 = file.record.precision in ("int8", "mixed")
            if target is not None and target.engine.symmetric and file.record.format == "onnx" and in_int8:
                onnx_int8.make_symmetric(file.path)
            self._describe(file)
        rule, how = self._run.record.rule, self._run.record.preprocessing
        listed = [(f.record, f.path) for f in files]
        proofs = prove_models(listed, rule, how.size, self._features)
        for proof in proofs.models:
            self._reporter.say(f"{proof.model}: {proof.words()}")
            for island in proof.islands:
                self._reporter.say(f"  not {proof.numbers()}: {island.operator} {island.name} ({island.types})")
        for found in fit_models(listed, proofs, target):
            self._reporter.say(f"{found.model}: {found.words()}")
        return proofs

    def _describe(self, file: ModelFile) -> None:
        if file.record.format == "tflite":
            rule, how = self._run.record.rule, self._run.record.preprocessing
            described = Description(self._options.name, rule.labels, how, bool(self._features))
            write_file(file.path, with_metadata(file.path.read_bytes(), described))

    def no_end(self) -> None:
        """What ships is measured and written whatever the time."""
        self._deadline = NEVER

    def measure(self, models: dict[str, Logits], split: str) -> list[Judged]:
        """Every model's answers on one split; side by side, since each has one thread outside Python's lock."""
        pictures = calibration.pictures_of(self._run, split, self._data)
        if not pictures:
            raise ExportError(f"the run has no {split} pictures; train again")
        how, rule = self._run.record.preprocessing, self._run.record.rule
        totals, deadline = dict.fromkeys(models, 0), self._deadline
        self._reporter.begin(f"measuring on {split}", len(models) * len(pictures))

        def measured(name: str) -> Judged:
            def advance(done: int, _of: int) -> None:
                deadline.check()
                totals[name] = done
                self._reporter.advance(sum(totals.values()))

            return judge(name, models[name], {split: pictures}, self._data, how, rule, advance)

        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(measured, models))
