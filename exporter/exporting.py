"""One export from a run folder to a bundle that was measured before it was written."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import msgspec

from edgetl.errors import ExportError, GateError
from edgetl.exporter.bundle_writer import write_bundle
from edgetl.exporter.calibration import require_own
from edgetl.exporter.calibration_set import check_frames
from edgetl.exporter.card import write_card
from edgetl.exporter.contents import describing_files, manifest_of
from edgetl.exporter.ladder.climb import Attempt, Climb, Tried, climb, refusal, short_of_int8
from edgetl.exporter.ladder.gate import Limits, Outcome
from edgetl.exporter.ladder.report import ladder_files, remove_refused, write_refused
from edgetl.exporter.ladder.rungs import Rung, rungs_of
from edgetl.exporter.measuring import ACCEPTANCE, MEASURED_SPLITS, Judged, table
from edgetl.exporter.models import ModelFile
from edgetl.exporter.options import Options
from edgetl.exporter.remembering import bank_members
from edgetl.exporter.targets import in_fast_kernels
from edgetl.exporter.work_folder import check_out, work_folder
from edgetl.exporter.workbench import Models, Workbench
from edgetl.runtime.manifest import CARD_NAME, Manifest, Measured
from edgetl.runtime.proof import PROOF_NAME
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import FLOAT, Run, read_bank

# Of the float file, whatever int8 may lose: nothing is rounded there, but sums are added up in another order.
AS_THE_NETWORK = Limits(max_drop=0, max_recall_loss=0, max_flips=0, max_gain_error=1)


def export(run: Run, options: Options, reporter: Reporter) -> Manifest:
    """Climbs the ladder, measures and writes the bundle. Raises ExportError, GateError; then no bundle is left."""
    data = options.data or Path(run.settings.data)
    rungs = rungs_of(options.rung, one_class=run.record.detector is not None)
    check_out(options.out)
    if options.calibration is not None:
        check_frames(options.calibration, run.record.rule.labels)
    _check_pictures(run, data)
    run.record.rule = msgspec.structs.replace(run.record.rule, min_score=options.min_score)
    with work_folder(options.keep) as folder:
        bench = Workbench(run, data, folder, options, reporter)
        climbed, passed = climb(
            rungs, partial(_attempt, bench, options), time.monotonic, 60 * options.budget_min, partial(_tell, reporter)
        )
        if passed is None:
            json_file, _ = write_refused(options.out, climbed, options.limits, bench.sources.warnings)
            raise GateError(f"{refusal(climbed)}. Every rung's figures are in {json_file}")
        if short := short_of_int8(climbed):
            reporter.say(f"warning: {short}")
        bench.no_end()
        manifest = _write(run, data, options, bench, climbed, passed.models, reporter)
    remove_refused(options.out)
    return manifest


def _check_pictures(run: Run, data: Path) -> None:
    """Refuses where the pictures to calibrate and measure with, or to remember, are not the ones of the run, or where one that only
    trained is gone: of all that trained the bundle tells how they look."""
    remembered = set() if run.record.detector is None else set(read_bank(run.folder).pictures.tolist())
    for number, record in enumerate(run.splits):
        matters = record.sets_ranges or record.split in MEASURED_SPLITS or number in remembered
        require_own(data, record, unchanged=matters)


def _attempt(bench: Workbench, options: Options, rung: Rung, left_s: float) -> Tried[Models]:
    """One rung's models. Raises ExportError, also for what the line would be slower with than with float (docs/adr/0031)."""
    precision = rung.quantization.precision
    if options.rung is None and not in_fast_kernels(precision):
        raise ExportError(
            f"LiteRT has no fast kernels for {precision}, which would take many times as long as float; --rung {rung.name} "
            "makes it all the same"
        )
    return bench.attempt(rung, left_s)


def _tell(reporter: Reporter, attempt: Attempt) -> None:
    """A rung's result, as it comes."""
    if attempt.error:
        reporter.say(f"rung {attempt.rung}: not possible here: {attempt.error}")
    for outcome in attempt.outcomes:
        label, worst = outcome.worst
        reporter.say(
            f"{outcome.model}: {outcome.flips} of {outcome.pictures} decisions flipped "
            f"({outcome.flips_percent:.1f} %, 95 % interval {outcome.flips_low:.1f} to {outcome.flips_high:.1f}"
            f"{_expected(outcome)}); "
            f"{outcome.drop:+.2f} points of balanced accuracy lost, most by {label}: {worst.points:+.1f} "
            f"({worst.low:+.1f} to {worst.high:+.1f}; one picture is {worst.finest:.1f}){_gain(outcome)}{_verdicts(outcome)}"
        )
        if outcome.scores is not None and outcome.scores.auroc_before is None:
            reporter.say(
                f"  no AUROC: val has no bad part, so whether {outcome.model} still sees one was not judged; the order of "
                f"the good parts' scores agrees with float's by {outcome.scores.correlation:.3f}"
            )
    reporter.say(f"rung {attempt.rung} {'passed' if attempt.passed else 'did not pass'} in {attempt.seconds:.0f} s")


def _expected(outcome: Outcome) -> str:
    if outcome.expected_percent is None:
        return ""
    luck = ", within --max-flips, so that the count is taken for chance" if outcome.by_chance else ""
    return f"; {outcome.expected_percent:.1f} if any picture met the rounding of any other{luck}"


def _gain(outcome: Outcome) -> str:
    return "" if outcome.gain is None else f"; logits {outcome.gain:.2f} of float's"


def _verdicts(outcome: Outcome) -> str:
    found = outcome.verdicts
    if found is None:
        return ""
    unsure = f" ({found.to_or_from_unknown} to or from UNKNOWN)" if found.flips else ""
    return f"; {found.flips} verdicts changed{unsure}{'' if found.gated else ', not gated'}"


def _write(
    run: Run, data: Path, options: Options, bench: Workbench, climbed: Climb, models: Models, reporter: Reporter
) -> Manifest:
    """Measures what ships on every split, and writes the bundle."""
    files: list[ModelFile] = list(models.files)
    if options.with_float:
        files.append(bench.float_file())
    measured = _measured(run, bench, models, files)
    manifest = manifest_of(
        run, options, files, measured, climbed.chosen or "", bench.sources.calibrated_with(climbed.chosen or "")
    )
    trained = len({s.sha256 for s in run.splits if s.split == "train"} & set(manifest.lineage.calibration))
    contents = {
        **{file.record.path: file.path.read_bytes() for file in files},
        **bank_members(files),
        **describing_files(run, data, models.files, reporter),
        PROOF_NAME: msgspec.json.encode(models.proofs),
        **ladder_files(climbed, options.limits, bench.sources.warnings),
        CARD_NAME: write_card(manifest, bench.sources.warnings, trained, short_of_int8(climbed)).encode(),
    }
    write_bundle(options.out, manifest, contents)
    return manifest


def _check_float_file(outcome: Outcome) -> None:
    """The float file is what others compare with, so it must be the network. Raises ExportError."""
    if not outcome.passed:
        raise ExportError(
            f"{outcome.model} judges {outcome.flips} of {outcome.pictures} pictures otherwise{_gain(outcome)}{_verdicts(outcome)}, though nothing was "
            "rounded: the converter's output is not the trained network; no bundle was written"
        )


def _measured(run: Run, bench: Workbench, models: Models, files: list[ModelFile]) -> tuple[Measured, ...]:
    """One row for each model and split. Test is met here for the first time: nothing is chosen by it."""
    logits = {FLOAT: bench.network, **{f.record.path: f.open().logits for f in files}}
    known = {judged.model: judged for judged in (bench.float_judged, *models.judged)}
    rest = {name: function for name, function in logits.items() if name not in known}
    for judged in bench.measure(rest, ACCEPTANCE) if rest else ():
        known[judged.model] = judged
        _check_float_file(bench.before_the_gate(judged, AS_THE_NETWORK))
    tested = {}
    if any(s.split == "test" for s in run.splits):
        tested = {judged.model: judged.by_split for judged in bench.measure(logits, "test")}
    everything = [Judged(name, {**known[name].by_split, **tested.get(name, {})}) for name in logits]
    return table(everything[0], everything[1:])
