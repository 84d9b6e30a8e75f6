"""Decides when a run's verdicts are OK, NG or UNKNOWN: on val, and judged on test."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DatasetError, UsageError
from edgetl.runtime.decision import DecisionRule, Limits, bad_chances, probabilities
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess
from edgetl.trainer import run_folder
from edgetl.trainer.deciding.limits import (
    Achieved,
    Costs,
    achieved,
    bad_parts_needed,
    limits_for_costs,
    limits_for_escapes,
)
from edgetl.trainer.deciding.temperature import calibration_error, fit_temperature
from edgetl.trainer.judge import float_logits
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run


class Wanted(msgspec.Struct, frozen=True):
    """What is asked of the verdicts: one of the two."""

    max_escape: float | None = None
    costs: Costs | None = None


class Deciding(msgspec.Struct, frozen=True, kw_only=True):
    """decision.json: the limits and what they come to. `bad_parts_needed` in all, without an escape beside those that test has,
    would show `max_escape` at 95 %; `bad_parts` is how many test has."""

    wanted: Wanted
    temperature: float
    calibration_error_before: float
    calibration_error_after: float
    limits: Limits
    val: Achieved
    test: Achieved | None
    bad_parts: int
    bad_parts_needed: int | None


def decide_run(folder: Path, wanted: Wanted, data: Path | None, reporter: Reporter) -> Deciding:
    """Finds the limits, writes them into the run's rule and the account of them to RUN/decision.json."""
    run = run_folder.read_run(folder)
    rule = run.record.rule
    if not rule.tells_good_from_bad:
        raise UsageError(f"{folder}: no class is named as the good one; train with --ok LABEL")
    root = data or Path(run.settings.data)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the one with the run's pictures with --data")
    truth, logits = _answers(run, "val", root, reporter)
    bad = _bad(truth, rule)
    if not bad.any() or bad.all():
        raise DatasetError(f"{root}: val needs good and bad parts to choose a limit between them")
    temperature = fit_temperature(logits, truth)
    chances = bad_chances(probabilities(logits, temperature), rule)
    limits = (
        limits_for_costs(wanted.costs) if wanted.costs else limits_for_escapes(chances, bad, wanted.max_escape or 0.0)
    )
    decided = msgspec.structs.replace(rule, temperature=temperature, limits=limits)
    tested, bad_parts = _on_test(run, root, decided, reporter)
    found = Deciding(
        wanted=wanted, temperature=temperature, limits=limits,
        calibration_error_before=round(calibration_error(logits, truth, 1.0), 4),
        calibration_error_after=round(calibration_error(logits, truth, temperature), 4),
        val=achieved(chances, bad, limits), test=tested, bad_parts=bad_parts,
        bad_parts_needed=bad_parts_needed(wanted.max_escape, tested.escapes.count if tested else 0)
        if wanted.max_escape
        else None,
    )  # fmt: skip
    run.record.rule = decided
    run_folder.write_decision(folder, msgspec.json.encode(found))
    run_folder.write_record(folder, run.record)
    return found


def _on_test(run: Run, root: Path, rule: DecisionRule, reporter: Reporter) -> tuple[Achieved | None, int]:
    """What the rule comes to on test, and how many bad parts that has."""
    assert rule.limits is not None
    if not any(s.split == "test" for s in run.splits):
        return None, 0
    truth, logits = _answers(run, "test", root, reporter)
    bad = _bad(truth, rule)
    return achieved(bad_chances(probabilities(logits, rule.temperature), rule), bad, rule.limits), int(bad.sum())


def _answers(run: Run, split: str, root: Path, reporter: Reporter) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The true class and the float network's logits of each picture of a split."""
    pictures = [s for s in run.splits if s.split == split]
    if not pictures:
        raise DatasetError(f"{run.folder}: the run has no {split} pictures; train again")
    ask, labels = float_logits(run), run.record.rule.labels
    reporter.begin(f"judging {split}", len(pictures))
    logits = []
    for done, picture in enumerate(pictures, start=1):
        if unlike := picture.unlike(root):
            raise DatasetError(unlike)
        logits.append(ask(preprocess(read_picture(root / picture.path), run.record.preprocessing)))
        reporter.advance(done)
    return np.array([labels.index(p.label) for p in pictures], np.int64), np.stack(logits)


def _bad(truth: NDArray[np.int64], rule: DecisionRule) -> NDArray[np.bool_]:
    good = [rule.labels.index(label) for label in rule.ok_labels]
    return ~np.isin(truth, good)
