"""Measures the files that ship, through the code that ships, against the float network they came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from edgetl.errors import GateError
from edgetl.runtime.dataset import Picture
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.evaluation import Evaluation, Logits, evaluate
from edgetl.runtime.manifest import Measured
from edgetl.runtime.metrics import balanced_accuracy
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer.run_folder import SplitRecord

FLOAT = "float32 (torch)"
MEASURED_SPLITS = ("val", "test")


class Judged(msgspec.Struct):
    """Every evaluation of one model: by split."""

    model: str
    by_split: dict[str, Evaluation]

    def predicted(self) -> dict[str, str]:
        """The label given to each picture of all splits."""
        return {path: label for e in self.by_split.values() for path, label in e.predicted.items()}


def judge(
    model: str, logits: Logits, pictures: dict[str, list[SplitRecord]], data: Path, how: Preprocessing,
    rule: DecisionRule, advance: Callable[[int, int], None],
) -> Judged:  # fmt: skip
    """Evaluates one model on every split that has pictures."""
    by_split: dict[str, Evaluation] = {}
    for split, records in pictures.items():
        listed = [Picture(r.path, r.label, r.split) for r in records]
        by_split[split] = evaluate(data, listed, logits, how, rule, model=model, split=split, progress=advance)
    return Judged(model, by_split)


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
                )
            )
    return tuple(rows)


def check_drop(float_model: Judged, other: Judged, max_drop: float) -> float:
    """The balanced accuracy in points that `other` loses against float over all measured pictures.

    Raises GateError above `max_drop` points. All measured splits are taken together: on a validation split of
    some 60 pictures alone, a single changed verdict already costs more than one point.
    """
    drop = 100 * (_overall(float_model) - _overall(other))
    if drop > max_drop + 1e-9:  # a loss of exactly the limit may come out a rounding error above it
        worst = _lost(float_model, other)
        raise GateError(
            f"{other.model} loses {drop:.2f} points of balanced accuracy against float, more than --max-drop {max_drop:g}; "
            f"no bundle was written. Verdicts that changed, first of {len(worst)}: {'; '.join(worst[:3]) or 'none'}. "
            "Calibrate with more pictures, train longer, or allow a larger --max-drop"
        )
    return drop


def _overall(judged: Judged) -> float:
    import numpy as np

    return balanced_accuracy(sum(np.array(e.metrics.confusion) for e in judged.by_split.values()))  # type: ignore[arg-type]


def _lost(float_model: Judged, other: Judged) -> list[str]:
    before, after = float_model.predicted(), other.predicted()
    return [f"{path}: {before[path]} became {after[path]}" for path in sorted(before) if before[path] != after[path]]
