"""Measures the files that ship, through the code that ships, against the float network they came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.dataset import Picture
from edgetl.runtime.decision import DecisionRule, decide
from edgetl.runtime.evaluation import Evaluation, Logits, evaluate
from edgetl.runtime.manifest import Measured
from edgetl.runtime.preprocess import Image, Preprocessing
from edgetl.trainer.run_folder import SplitRecord

ACCEPTANCE = "val"  # its pictures neither trained nor calibrated; test is only reported
MEASURED_SPLITS = (ACCEPTANCE, "test")


class Judged(msgspec.Struct):
    """Every evaluation of one model, and its logits (pictures×labels): by split."""

    model: str
    by_split: dict[str, Evaluation]
    logits: dict[str, NDArray[np.float32]] = {}


def judge(
    model: str, logits: Logits, pictures: dict[str, list[SplitRecord]], data: Path, how: Preprocessing,
    rule: DecisionRule, advance: Callable[[int, int], None], input_of: Callable[[Path], Image] | None = None,
) -> Judged:  # fmt: skip
    """Evaluates one model on every split that has pictures."""
    judged = Judged(model, {}, {})
    for split, records in pictures.items():
        listed = [Picture(r.path, r.label, r.split) for r in records]
        rows: list[NDArray[np.float32]] = []

        def noted(image: Image, rows: list[NDArray[np.float32]] = rows) -> NDArray[np.float32]:
            rows.append(logits(image))
            return rows[-1]

        judged.by_split[split] = evaluate(
            data, listed, noted, how, rule, model=model, split=split, progress=advance, input_of=input_of
        )
        judged.logits[split] = np.stack(rows)
    return judged


def verdicts_of(judged: Judged, split: str, rule: DecisionRule) -> dict[str, str]:
    """The verdict on each picture of a split."""
    rows = zip(judged.by_split[split].predicted, judged.logits[split], strict=True)
    return {path: decide(row, rule).verdict for path, row in rows}


def gain_of(float_logits: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """The factor between a model's logits and float's (both pictures×labels), by least squares on the differences
    between labels, which alone matter to a score. 1 where the network itself tells no labels apart."""
    wanted, found = (a.astype(np.float64) - a.mean(axis=1, keepdims=True) for a in (float_logits, logits))
    power = float((wanted**2).sum())
    return float((wanted * found).sum()) / power if power > 0 else 1.0


def expected_flips(float_logits: NDArray[np.float32], logits: NDArray[np.float32]) -> float | None:
    """The share of labels that would change if each picture met the rounding of each other picture (both pictures×labels);
    None of fewer than two pictures.

    A few dozen pictures hold one or two near a tie, so that counting what changed says little. What rounding adds to the
    logits hardly depends on which picture it is, and of n pictures there are n·(n−1) such pairs.
    """
    pictures = len(logits)
    if pictures < 2:
        return None
    added, own = logits.astype(np.float64) - float_logits, float_logits.argmax(axis=1)
    changed = sum(
        np.count_nonzero(np.delete(float_logits + noise, i, axis=0).argmax(axis=1) != np.delete(own, i))
        for i, noise in enumerate(added)
    )
    return changed / (pictures * (pictures - 1))


def table(float_model: Judged, others: list[Judged]) -> tuple[Measured, ...]:
    """One row for each model and split: accuracy with its interval, and the share of decisions equal to float's."""
    rows = []
    for judged in [float_model, *others]:
        for split, evaluation in judged.by_split.items():
            theirs, ours = evaluation.predicted, float_model.by_split[split].predicted
            metrics = evaluation.metrics
            rows.append(
                Measured(
                    model=judged.model,
                    split=split,
                    n=metrics.n,
                    balanced_accuracy=metrics.balanced_accuracy,
                    low=metrics.balanced_accuracy_interval.low,
                    high=metrics.balanced_accuracy_interval.high,
                    same_decisions=sum(theirs[p] == ours[p] for p in ours) / len(ours),
                    auroc=evaluation.auroc,
                )
            )
    return tuple(rows)
