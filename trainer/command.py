"""`edgetl train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from click.core import ParameterSource

from edgetl.errors import UsageError
from edgetl.trainer.importing import lasting
from edgetl.trainer.options import RESIZES, normalization_option, region_of
from edgetl.trainer.recipe import Recipe
from edgetl.trainer.settings import Augmentation, Balance, Settings, Statistics
from edgetl.trainer.share import share


def _stopped(out: Path) -> str:
    if not (out / "weights/last.safetensors").exists():
        return f"stopped before the first epoch; to start again, remove {out} or choose another --out"
    return f"stopped; the best weights so far are kept; go on with: edgetl train … --out {out} --resume"


# What a head that is fitted at once has no use for.
_OF_EPOCHS = {
    "epochs", "patience", "learning_rate", "layer_ratio", "layer_decay", "warmup", "unfreeze", "average", "blend", "blend_least",
    "label_smoothing", "mixup", "cutmix",
}  # fmt: skip


def _say_without_effect(recipe: str, resume: bool) -> None:
    """Says which flags count for nothing beside the others."""
    context = click.get_current_context()
    given = {
        p.name: p.opts[0]
        for p in context.command.params
        if p.name and context.get_parameter_source(p.name) is not ParameterSource.DEFAULT
    }
    if resume:
        idle, why = given.keys() - {"out", "resume", "as_json"}, "a run goes on with its own settings"
    elif recipe == "probe":
        idle, why = given.keys() & _OF_EPOCHS, "a head alone is fitted at once"
    else:
        idle, why = given.keys() & {"layer_ratio"} if "layer_decay" in given else set(), "--layer-decay says it"
    if idle:
        click.echo(f"note: without effect: {', '.join(sorted(given[name] for name in idle))} ({why})", err=True)


def _settings(options: dict[str, Any]) -> Settings:
    """The run's settings from the flags, on top of those of the run to go on from."""
    from edgetl.trainer.run_folder import read_run

    start: Path | None = options.pop("start")
    if start is None:
        for needed, what in (("data", "DIR/<class>/…"), ("model", "mobilenet_v2, or go on from a run with --from")):
            if options[needed] is None:
                raise UsageError(f"no --{needed}; name one, for example {what}")
        return _converted(options)
    if options["data"] is None:
        raise UsageError("no --data; name the folder of pictures to go on with")
    context = click.get_current_context()
    given = {k: v for k, v in options.items() if context.get_parameter_source(k) is not ParameterSource.DEFAULT}
    # The pictures may call for another recipe now; what the weights expect comes with the run.
    if "weights" in given:
        raise UsageError("--from brings the weights of that run; leave --weights out")
    before = read_run(start).settings.for_other_pictures()
    if given.get("recipe") == "one-class":  # it has no use for what was asked of a classifier
        before |= {"choose_imgsz": False, "teacher": None, "teacher_weights": "auto", "teacher_normalization": "auto"}
    return _converted({**before, "normalization": "auto", **given, "start": str(start)})


def _converted(values: dict[str, Any]) -> Settings:
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise UsageError(f"--{where.rstrip('`').replace('_', '-')}: {what}") from error


@click.command()
@click.option("--data", default=None, metavar="DIR", help="DIR/<class>/… or DIR/{train,val,test}/<class>/…")
@click.option("--model", default=None, metavar="NAME", help="mobilenet_v2, efficientnet_lite0, …, or a name of timm's.")
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN",
    help="Go on from another run's weights: what was asked of it counts where no flag is given, what it decided is "
    "decided anew, and its splits stay.",
)
@click.option(
    "--weights",
    default="auto",
    show_default=True,
    metavar="auto|builtin|none|FILE",
    help="Pretrained weights: from timm's cache or hub (where there are none, built-in), built-in, none, or a file.",
)
@normalization_option
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="RUN", help="The run folder to write.")
@click.option(
    "--recipe",
    type=click.Choice(get_args(Recipe)),
    default="auto",
    show_default=True,
    help="probe: a head on frozen features; blocks: the last layers too; finetune: all layers; scratch: from nothing; "
    "auto decides among these by the pictures and says why. one-class: from good parts alone.",
)
@click.option("--imgsz", default=224, show_default=True, help="Side of the model's input in pixels.")
@click.option(
    "--choose-imgsz/--no-choose-imgsz",
    default=False,
    show_default=True,
    help="After training try other sizes on val, and use one that is clearly better. A larger one takes the device longer.",
)
@click.option("--resize", type=click.Choice(RESIZES), default="squash", show_default=True)
@click.option("--region", callback=region_of, metavar="X0,Y0,X1,Y1", help="Part of the frame to look at, as fractions.")
@click.option(
    "--epochs",
    type=int,
    default=None,
    help="Passes over the pictures.  [default: by their number, 9 to 40; of built-in weights 20 to 60; from scratch 40 to 150]",
)
@click.option(
    "--patience",
    type=int,
    default=None,
    help="Epochs without gain on val before it stops.  [default: it goes on to the end; from scratch a third of all]",
)
@click.option("--batch", default=32, show_default=True)
@click.option(
    "--lr",
    "learning_rate",
    type=float,
    default=None,
    help="Learning rate of the head.  [default: 5e-4; for weights from drawn pictures 1e-3, from nothing 4e-3]",
)
@click.option(
    "--layer-ratio",
    type=float,
    default=None,
    help="How many times smaller the first layers' rate is than the head's; between them it falls by equal factors.  "
    "[default: 20, for weights from drawn pictures 3]",
)
@click.option(
    "--layer-decay", type=float, default=None, help="Instead: the rate of each layer relative to the next one's."
)
@click.option("--weight-decay", default=0.02, show_default=True)
@click.option("--warmup", default=0.1, show_default=True, help="Share of the epochs in which the rate rises.")
@click.option(
    "--unfreeze",
    default=0.0,
    show_default=True,
    help="Share of the epochs over which the layers are freed, from the head down.",
)
@click.option(
    "--margin",
    type=float,
    default=None,
    help="By how many standard errors on val a fine-tuned net must beat its probe, or else the probe stays; below 0: how many "
    "it may be behind.  [default: 1 or 2 where auto decides and classes are short of pictures, from nothing 0, else -1]",
)
@click.option("--average/--no-average", default=True, show_default=True, help="Keep a moving average of the weights.")
@click.option(
    "--blend/--no-blend", default=True, show_default=True,
    help="After fine-tuning, try weights between those of the start and those of the end on val.",
)  # fmt: skip
@click.option(
    "--blend-least", type=float, default=None,
    help="Take weights that are at least so much of the way from the start to the end.  [default: by parts of train, or none]",
)  # fmt: skip
@click.option("--label-smoothing", default=0.05, show_default=True)
@click.option("--mixup", default=0.0, show_default=True, help="Alpha of mixup; 0 is off.")
@click.option(
    "--cutmix", default=0.0, show_default=True, help="Alpha of CutMix; 0 is off. It may cut small defects away."
)
@click.option(
    "--balance",
    type=click.Choice(get_args(Balance)),
    default="auto",
    show_default=True,
    help="How classes of different size come to count the same. auto weighs them, and draws them alike where they are lopsided.",
)
@click.option(
    "--statistics",
    type=click.Choice(get_args(Statistics)),
    default="auto",
    show_default=True,
    help="Batch-norm statistics: keep those of pretrained weights, or learn them. auto keeps them below 2000 pictures.",
)
@click.option(
    "--watch/--no-watch", default=True, show_default=True, help="Hold more pretrained layers still where it overfits."
)
@click.option(
    "--augmentation",
    type=click.Choice(get_args(Augmentation)),
    default="auto",
    show_default=True,
    help="How pictures are changed in training; `edgetl data preview` shows it. auto: by the pictures.",
)
@click.option("--teacher", default=None, metavar="RUN|NAME", help="Learn from its answers too: a finished run, or a pretrained net (timm's, or clip:NAME) that gets a head first.")  # fmt: skip
@click.option("--teacher-weights", default="auto", show_default=True, metavar="auto|builtin|FILE", help="The teacher's weights, where it is no run.")  # fmt: skip
@click.option("--teacher-normalization", default="auto", show_default=True, metavar="auto|imagenet|inception|unit|R,G,B/R,G,B", help="What the teacher's weights expect.")  # fmt: skip
@click.option("--temperature", default=2.0, show_default=True, help="By which the teacher's answers are softened.")
@click.option("--distill-weight", default=0.5, show_default=True, help="Share of the loss that the teacher's answers make up; the labels make up the rest.")  # fmt: skip
@click.option("--ok", multiple=True, metavar="LABEL", help="A class that is good; may be given more than once.")
@click.option(
    "--false-alarm", default="1%", callback=share, show_default=True, metavar="SHARE",
    help="one-class: of the good parts, about so many may be called bad.",
)  # fmt: skip
@click.option("--bank", default=500, show_default=True, help="one-class: patches of good parts to remember.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--compile/--no-compile", default=False, show_default=True, help="Compile the net with torch.compile first: worth it for long trainings.")  # fmt: skip
@click.option("--tensorboard/--no-tensorboard", default=False, show_default=True, help="Write RUN/tensorboard too.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out; its own settings count.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def train(out: Path, resume: bool, as_json: bool, **options: Any) -> None:
    """Train a model from class folders.

    On several GPUs, with the result of one: torchrun --nproc-per-node N -m edgetl train …
    """
    with lasting():
        from edgetl.trainer.oneclass.training import train_one_class
        from edgetl.trainer.progress import ConsoleReporter, SilentReporter
        from edgetl.trainer.ranks import joined
        from edgetl.trainer.run_folder import read_run
        from edgetl.trainer.training import train as train_classifier

    settings = read_run(out).settings if resume else _settings(options)
    train_run = train_one_class if settings.recipe == "one-class" else train_classifier
    try:
        with joined(settings.device) as rank, ConsoleReporter() as console:
            reporter = console if rank.first else SilentReporter()
            if rank.first:
                _say_without_effect(options["recipe"], resume)
            record = train_run(settings, out, resume=resume, reporter=reporter, rank=rank)
    except KeyboardInterrupt as interrupt:
        click.echo(_stopped(out), err=True)
        raise click.Abort from interrupt
    except MemoryError as error:
        raise UsageError("not enough memory; choose a smaller --batch or --imgsz") from error
    if not rank.first:
        return
    summary = {"run": str(out), "best_epoch": record.best_epoch, "val_balanced_accuracy": record.val_balanced_accuracy,
               "pictures": record.pictures, "seconds": record.seconds}  # fmt: skip
    click.echo(json.dumps(summary) if as_json else f"{out}: val balanced accuracy {record.val_balanced_accuracy:.4f}")
