"""`edgetl train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from edgetl.errors import UsageError


def _region(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        numbers = tuple(float(v) for v in value.split(","))
    except ValueError as error:
        raise click.BadParameter("four numbers x0,y0,x1,y1 from 0 to 1") from error
    if len(numbers) != 4:
        raise click.BadParameter("four numbers x0,y0,x1,y1 from 0 to 1")
    return numbers


def _stopped(out: Path) -> str:
    if not (out / "weights/last.safetensors").exists():
        return f"stopped before the first epoch; to start again, remove {out} or choose another --out"
    return f"stopped; the best weights so far are kept; go on with: edgetl train … --out {out} --resume"


@click.command()
@click.option("--data", required=True, metavar="DIR", help="DIR/<class>/… or DIR/{train,val,test}/<class>/…")
@click.option(
    "--model", required=True, metavar="NAME", help="mobilenet_v2, efficientnet_lite0, …, or a name of timm's."
)
@click.option(
    "--weights",
    default="auto",
    show_default=True,
    metavar="auto|none|FILE",
    help="Pretrained weights: from timm's hub, from this package (drawn pictures only), none, or a file.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="RUN", help="The run folder to write.")
@click.option("--recipe", type=click.Choice(["probe", "finetune"]), default="finetune", show_default=True)
@click.option("--imgsz", default=224, show_default=True, help="Side of the model's input in pixels.")
@click.option(
    "--resize", type=click.Choice(["squash", "fit-shortest", "fit-longest"]), default="squash", show_default=True
)
@click.option("--region", callback=_region, metavar="X0,Y0,X1,Y1", help="Part of the frame to look at, as fractions.")
@click.option("--epochs", default=9, show_default=True)
@click.option("--patience", default=8, show_default=True, help="Epochs without gain on val before it stops.")
@click.option("--batch", default=32, show_default=True)
@click.option(
    "--lr", "learning_rate", type=float, default=None, help="Learning rate of the head.  [default: by weights]"
)
@click.option("--layer-decay", default=0.85, show_default=True, help="Rate of each earlier layer relative to the next.")
@click.option(
    "--augmentation", type=click.Choice(["none", "part", "texture", "natural"]), default="natural", show_default=True
)
@click.option("--ok", multiple=True, metavar="LABEL", help="A class that is good; may be given more than once.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out; its own settings count.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def train(out: Path, resume: bool, as_json: bool, **options: Any) -> None:
    """Train a model from class folders."""
    from edgetl.trainer.progress import ConsoleReporter
    from edgetl.trainer.run_folder import read_run
    from edgetl.trainer.settings import Settings
    from edgetl.trainer.training import train as train_run

    settings = read_run(out).settings if resume else msgspec.convert(options, Settings)
    try:
        with ConsoleReporter() as reporter:
            record = train_run(settings, out, resume=resume, reporter=reporter)
    except KeyboardInterrupt as interrupt:
        click.echo(_stopped(out), err=True)
        raise click.Abort from interrupt
    except MemoryError as error:
        raise UsageError("not enough memory; choose a smaller --batch or --imgsz") from error
    summary = {"run": str(out), "best_epoch": record.best_epoch, "val_balanced_accuracy": record.val_balanced_accuracy,
               "pictures": record.pictures, "seconds": record.seconds}  # fmt: skip
    click.echo(json.dumps(summary) if as_json else f"{out}: val balanced accuracy {record.val_balanced_accuracy:.4f}")
