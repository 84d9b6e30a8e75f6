"""`edgetl compare`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from edgetl.errors import HealthError, UsageError


@click.command()
@click.option("--data", required=True, metavar="DIR", help="DIR/<class>/… or DIR/{train,val,test}/<class>/…")
@click.option(
    "--models", required=True, metavar="A,B,C", help="Backbones, by the names that `edgetl train --model` takes."
)
@click.option(
    "--weights", multiple=True, metavar="auto|builtin|FILE|NAME=FILE",
    help="Pretrained weights: of one model by its name, or of all others. May be given more than once.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="What is done lies there; the same command goes on with it.")  # fmt: skip
@click.option("--finalists", type=click.IntRange(1), default=2, show_default=True, help="How many of the best probes are trained fully.")  # fmt: skip
@click.option("--sweep", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Also try N settings of the best model, drawn by Optuna.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=None, help="Trainings side by side.  [default: one, or one for each GPU]")  # fmt: skip
@click.option("--imgsz", default=224, show_default=True, help="Side of the models' input in pixels.")
@click.option("--epochs", type=int, default=None, help="As for `edgetl train`; probes have none.")
@click.option("--ok", multiple=True, metavar="LABEL", help="A class that is good; may be given more than once.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def compare(
    data: str, models: str, weights: tuple[str, ...], out: Path, finalists: int, sweep: int, jobs: int | None,
    imgsz: int, epochs: int | None, ok: tuple[str, ...], seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Which backbone: train each on the same pictures, export it, and rank accuracy against latency here and size.

    A head on frozen features first, for all of them; then the best few by `edgetl train --recipe auto`, and the best of these
    from nothing too, which shows what its weights are worth. Val ranks; test only tells. All trials are in Optuna's database
    study.db, the runs and bundles beside it. Ends with 1 where a model could not be trained; the others are compared all the same.
    """
    from edgetl.benchmarks.model_comparison.candidate import Plan
    from edgetl.benchmarks.model_comparison.comparing import compare as compare_models
    from edgetl.benchmarks.model_comparison.showing import table

    names = tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    if not names:
        raise UsageError("--models names no model; for example --models mobilenet_v2,efficientnet_lite0")
    plan = Plan(
        data=data, models=names, weights=weights_by_model(weights, names), finalists=finalists, sweep=sweep,
        imgsz=imgsz, epochs=epochs, seed=seed, ok=ok,
    )  # fmt: skip
    gpus = visible_gpus()
    found = compare_models(plan, out, jobs or max(1, len(gpus)), gpus, lambda line: click.echo(line, err=True))
    click.echo(msgspec.json.encode(found).decode() if as_json else table(found))
    if not found.best:
        raise HealthError(f"{out}: none of the models came to the end; see the logs in {out / 'logs'}")
    if lost := [row.candidate.name for row in found.rows if not row.trained]:
        raise HealthError(f"{out}: not trained: {'; '.join(lost)}; see the logs in {out / 'logs'}")


def weights_by_model(given: tuple[str, ...], names: tuple[str, ...]) -> dict[str, str]:
    """`--weights` by model; what names no model of the comparison counts for all the others. Raises UsageError."""
    found: dict[str, str] = {}
    for value in given:
        model, sign, file = value.partition("=")
        key, what = (model, file) if sign and model in names else ("", value)
        if key in found:
            raise UsageError(f"--weights {value}: given twice for {key or 'all models'}")
        if not key and sign and not Path(value).exists():
            raise UsageError(f"--weights {value}: {model} is none of --models {','.join(names)}")
        found[key] = what
    return found


def visible_gpus() -> list[str]:
    """The GPUs that trainings may take, as CUDA_VISIBLE_DEVICES numbers them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [number for number in named.split(",") if number.strip()]
    return sorted(p.name.removeprefix("nvidia") for p in Path("/dev").glob("nvidia[0-9]*"))
