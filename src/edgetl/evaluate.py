"""`edgetl evaluate`: a run (float, through torch) or a bundle (the files that ship, through the code that ships)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.errors import MissingPartError, UsageError

if TYPE_CHECKING:
    from edgetl.runtime.decision import DecisionRule
    from edgetl.runtime.evaluation import Evaluation, Logits
    from edgetl.runtime.preprocess import Preprocessing

Judge = tuple["Logits", "Preprocessing", "DecisionRule", str, dict[str, str], bool]


@contextmanager
def _judge_of_run(folder: Path) -> Iterator[Judge]:
    from edgetl.trainer.judge import float_logits
    from edgetl.trainer.run_folder import FLOAT, read_run

    run = read_run(folder)
    recorded = {s.sha256: s.split for s in run.splits}
    yield (
        float_logits(run),
        run.record.preprocessing,
        run.record.rule,
        FLOAT,
        recorded,
        run.record.detector is not None,
    )


@contextmanager
def _judge_of_bundle(path: Path, precision: Any, interpreter: str | None) -> Iterator[Judge]:
    from edgetl.runtime.bundle import open_bundle
    from edgetl.runtime.interpreters import choose, open_named
    from edgetl.runtime.lineage import recorded_splits

    with open_bundle(path) as bundle:
        if precision == "int8":
            model, _ = choose(bundle, interpreter)
        else:
            model = open_named(bundle, interpreter or "litert", precision=precision)
        manifest = bundle.manifest
        name = f"{model.info.model} ({model.info.name} {model.info.version})"
        recorded, one_class = recorded_splits(bundle), manifest.detector is not None
        yield model.logits, manifest.preprocessing, manifest.rule, name, recorded, one_class


def _as_json(evaluation: Evaluation) -> str:
    import msgspec

    metrics = msgspec.to_builtins(evaluation.metrics)
    auroc = None if evaluation.auroc is None else msgspec.to_builtins(evaluation.auroc)
    rest = {"auroc": auroc, "model": evaluation.model, "split": evaluation.split, "verdicts": evaluation.verdicts,
            "passed_over": evaluation.passed_over}  # fmt: skip
    return json.dumps({**rest, **metrics}, ensure_ascii=False)


def _table(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    low, high = metrics.balanced_accuracy_interval.low, metrics.balanced_accuracy_interval.high
    lines = [
        f"{evaluation.model} on {metrics.n} pictures of {evaluation.split}",
        f"balanced accuracy {100 * metrics.balanced_accuracy:.2f} %  (95 % interval {100 * low:.1f} to {100 * high:.1f})",
        f"{'class':<20}{'pictures':>9}{'recall':>22}{'precision':>22}",
    ]
    for label, row in metrics.per_class.items():
        lines.append(
            f"{label:<20}{row.pictures:>9}{_share(row.recall, row.recall_interval):>22}"
            f"{_share(row.precision, row.precision_interval):>22}"
        )
    if (found := evaluation.auroc) is not None:
        lines.append(f"AUROC, bad against good: {found.value:.4f}  (95 % interval {found.interval.low:.3f} to "
                     f"{found.interval.high:.3f}; {found.good} good, {found.bad} bad)")  # fmt: skip
        for label, counts in evaluation.verdicts.items():
            lines.append(f"{label:<20}" + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    lines += [f"passed over: {path}: {reason}" for path, reason in evaluation.passed_over.items()]
    return "\n".join(lines)


def _share(value: float | None, interval: Any) -> str:
    if value is None or interval is None:
        return "-"
    return f"{100 * value:.1f} ({100 * interval.low:.0f} to {100 * interval.high:.0f}) %"


def _write_plots(out: Path, evaluation: Evaluation) -> None:
    """The confusion matrix as JSON, and as PNG where matplotlib is installed."""
    from edgetl.runtime.files import write_file

    write_file(out / f"confusion_{evaluation.split}.json", _as_json(evaluation))
    try:
        from edgetl.trainer.plots import plot_confusion_counts
    except ModuleNotFoundError as error:
        raise MissingPartError(
            f"{out}/confusion_{evaluation.split}.json is written; its picture needs: pip install 'edgetl[train]'"
        ) from error
    plot_confusion_counts(
        evaluation.metrics.confusion, evaluation.metrics.labels, out / f"confusion_{evaluation.split}.png",
        f"{evaluation.split}: {evaluation.model}",
    )  # fmt: skip


def _refuse_choice_of_model(run: Path) -> None:
    """A run has one network, so that a choice among a bundle's models says nothing there. Raises UsageError."""
    context = click.get_current_context()
    for name in ("precision", "interpreter"):
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise UsageError(
                f"--{name} chooses among a bundle's models, and {run} is a run; name the bundle, or leave it out"
            )


@click.command()
@click.argument("target", type=click.Path(path_type=Path), metavar="RUN|BUNDLE")
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Labelled pictures.")
@click.option(
    "--split", type=click.Choice(["train", "val", "calibration", "test", "all"]), default="test", show_default=True
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "float32"]),
    default="int8",
    show_default=True,
    help="Which of a bundle's models.",
)
@click.option(
    "--interpreter",
    default=None,
    metavar="NAME",
    help="litert, tflite-runtime or onnxruntime.  [default: the fastest here]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Also write the confusion matrix there (PNG, JSON).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def evaluate(
    target: Path, data: Path, split: str, precision: str, interpreter: str | None, out: Path | None, as_json: bool
) -> None:
    """Accuracy of a run (float) or a bundle (the file that ships) on labelled pictures, with 95 % intervals."""
    from edgetl.runtime.evaluation import evaluate as evaluate_pictures
    from edgetl.runtime.evaluation import in_two, pictures_of_split

    if not target.exists():
        raise UsageError(f"{target}: no such run or bundle")
    if target.is_dir():
        _refuse_choice_of_model(target)
    judge = _judge_of_run(target) if target.is_dir() else _judge_of_bundle(target, precision, interpreter)
    with judge as (logits, how, rule, name, recorded, one_class):
        found = pictures_of_split(data, split, recorded)
        pictures = found.pictures
        if one_class:
            if not any(p.label in rule.ok_labels for p in pictures):
                good, there = ", ".join(rule.ok_labels), ", ".join(sorted({p.label for p in pictures}))
                click.echo(f"warning: no picture of class {good}; all are taken as bad parts ({there})", err=True)
            pictures = in_two(pictures, rule)
        evaluation = evaluate_pictures(data, pictures, logits, how, rule, model=name, split=split)
        evaluation.passed_over.update(found.left_out)
    click.echo(_as_json(evaluation) if as_json else _table(evaluation))
    if out is not None:
        _write_plots(out, evaluation)
