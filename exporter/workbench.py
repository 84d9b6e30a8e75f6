"""Tries rungs: makes the files of each, proves them, and measures them on the acceptance pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import msgspec

from edgetl.errors import ExportError, ModelError
from edgetl.exporter import calibration, conversion, onnx_int8
from edgetl.exporter.deadline import NEVER, Deadline
from edgetl.exporter.decoded import Decoded
from edgetl.exporter.ladder.climb import Tried
from edgetl.exporter.ladder.gate import Limits, Outcome, pass_or_refuse
from edgetl.exporter.ladder.rungs import Rung
from edgetl.exporter.ladder.scores import with_scores
from edgetl.exporter.ladder.verdicts import with_verdicts
from edgetl.exporter.measuring import ACCEPTANCE, Judged, expected_flips, gain_of, judge, verdicts_of
from edgetl.exporter.models import ModelFile
from edgetl.exporter.options import Options
from edgetl.exporter.proving import fit_models, prove_models
from edgetl.exporter.remembering import network_logits, with_detectors
from edgetl.exporter.sources import Sources
from edgetl.exporter.tflite import Converter
from edgetl.exporter.tflite_metadata import Description, with_metadata
from edgetl.exporter.unconvertible import cause_in_run
from edgetl.exporter.work_folder import RUNGS, log_of
from edgetl.runtime.evaluation import Logits
from edgetl.runtime.files import write_file
from edgetl.runtime.graphs import read_tflite
from edgetl.runtime.proof import Proofs
from edgetl.runtime.spare import cores
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import FLOAT, Run


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
        log = log_of(run.folder, options.name)
        self._converter = Converter(log=log) if options.converter is None else Converter(options.converter, log)
        self._decoded = Decoded(run.record.preprocessing)
        self.sources = Sources(run, data, folder, options, reporter)
        self._deadline = NEVER
        self._begun = False

    def attempt(self, rung: Rung, left_s: float) -> Tried[Models]:
        """One rung's models before the gate. The first takes what time it needs, so that there is one at all; another that
        has not come to its end within `left_s` is ended. Raises ExportError."""
        self._reporter.say(f"rung {rung.name}: {rung.means}")
        self._deadline, self._begun = Deadline(left_s) if self._begun else NEVER, True
        source = self.sources.of(rung, left_s)
        self._deadline.check()
        how, out = self.sources.quantization(rung, source), self._folder / RUNGS / rung.name
        files = conversion.quantize(
            source, how, out, self._reporter, self._bounded(), self._deadline, self._float_besides(source)
        )
        proofs = self._described_and_proved(files)
        try:
            files = with_detectors(self._run, self._data, files, self._reporter)
            judged = self.measure({f.record.path: f.open().logits for f in files}, ACCEPTANCE)
        except ModelError as error:
            raise ExportError(f"a file of this rung does not run here: {_why(error, files)}") from error
        outcomes = tuple(self.before_the_gate(j) for j in judged)
        return Tried(Models(files, proofs, tuple(judged)), outcomes, {f.record.path: f.size for f in files})

    def before_the_gate(self, judged: Judged, limits: Limits | None = None) -> Outcome:
        """How the gate finds a model that was measured on the acceptance pictures, by the user's limits or by others."""
        plain, limits, rule = self.float_judged, limits or self._options.limits, self._run.record.rule
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

    @cached_property
    def network(self) -> Logits:
        """The float network's judgement of one picture."""
        return network_logits(self._run, self._data, self._reporter)

    @cached_property
    def float_judged(self) -> Judged:
        """The float network on the acceptance pictures."""
        return self.measure({FLOAT: self.network}, ACCEPTANCE)[0]

    def _float_besides(self, source: Path) -> Path | None:
        """The weights as trained, where their float file will be wanted, is not there yet and is none of `source`'s."""
        if not self._options.with_float:
            return None
        folder = self.sources.source("as trained")
        return None if folder == source or conversion.has_float(folder) else folder

    def float_file(self) -> ModelFile:
        """The float TFLite model of the weights as they were trained."""
        file = conversion.float_model(self.sources.source("as trained"), self._converter)
        self._describe(file)
        return with_detectors(self._run, self._data, (file,), self._reporter)[0]

    @property
    def _features(self) -> int:
        """How many values of feature maps the run's network gives; 0 where it gives logits."""
        record = self._run.record.detector
        return 0 if record is None else record.values

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

            return judge(name, models[name], {split: pictures}, self._data, how, rule, advance, self._decoded)

        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(measured, models))
