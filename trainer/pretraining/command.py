"""`edgetl pretrain`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click
import msgspec

from edgetl.errors import UsageError
from edgetl.exits import stopped_like_ctrl_c
from edgetl.runtime.spare import cores
from edgetl.trainer.pretraining.plan import SETTINGS, Plan, Setting

if TYPE_CHECKING:
    from edgetl.trainer.pretraining.pretraining import Progressing


@click.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.safetensors", help="The weights to write.")
@click.option(
    "--setting", type=click.Choice(get_args(Setting)), default="small", show_default=True,
    help="small is for two CPU cores, full for a GPU; the flags below overrule it.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the state beside --out; only --steps may be another.")
@click.option("--sheet", type=click.Path(path_type=Path), metavar="FILE.jpg", help="Only draw a sheet of the pictures.")
@click.option("--model", metavar="NAME", help="A plain name or one of timm's.")
@click.option("--formulas", type=int, help="Formulas to tell apart; each is a class.")
@click.option("--pictures", type=int, help="Pictures to draw of them.")
@click.option("--imgsz", type=int, help="Side of the pictures in pixels.")
@click.option("--early-imgsz", type=int, help="Side of what the net sees of them until the learning rate falls.")
@click.option("--steps", type=int, help="Updates of the weights.")
@click.option("--batch", type=int, help="Pictures an update.")
@click.option("--lr", "learning_rate", type=float, help="Highest learning rate.")
@click.option("--heads", help="What is asked of each picture: any of formula,palette,outline,mark,descriptor.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def pretrain(
    out: Path | None, setting: Setting, resume: bool, sheet: Path | None, device: str, as_json: bool, **given: Any
) -> None:
    """Pretrain a backbone on drawn pictures: weights without a download, and without anyone's photographs.

    The same seed on the same machine gives the same weights. On several GPUs: torchrun --nproc-per-node N -m edgetl
    pretrain …
    """
    plan = _plan(SETTINGS[setting], given)
    if sheet is not None:
        from edgetl.trainer.pretraining.sheet import write_sheet

        write_sheet(sheet, plan)
        click.echo(json.dumps({"sheet": str(sheet)}) if as_json else str(sheet))
        return
    if out is None or out.suffix != ".safetensors":
        raise UsageError("--out must name the weights to write, FILE.safetensors")
    if at := _trained(plan, out, resume, device):
        losses = {name: round(loss, 4) for name, loss in at.losses.items()}
        summary = {"weights": str(out), "steps": at.step, "seconds": round(at.seconds), "losses": losses}
        click.echo(json.dumps(summary) if as_json else f"{out}: {at.step} steps in {at.seconds:.0f} s")


def _trained(plan: Plan, out: Path, resume: bool, device: str) -> Progressing | None:
    """Draws the pictures and trains on them; how far that came, in the first process only."""
    from edgetl.trainer.pretraining.pool import draw_pool
    from edgetl.trainer.pretraining.pretraining import Pretraining
    from edgetl.trainer.progress import ConsoleReporter, SilentReporter
    from edgetl.trainer.ranks import joined

    with (
        stopped_like_ctrl_c(),  # with the state written, and the drawn pictures, some GB, taken away
        joined(device) as rank,
        tempfile.TemporaryDirectory(prefix="edgetl-pictures-") as folder,
        ConsoleReporter() as console,
    ):
        reporter = console if rank.first else SilentReporter()
        reporter.begin("drawing", plan.pictures)
        processes = max(1, cores() // rank.count)
        pool = draw_pool(Path(folder), plan.pictures, plan.imgsz, plan.formulas, plan.seed, processes, reporter.advance)
        state = Pretraining(plan, pool, rank)
        if resume:
            state.resume(out)
        state.run(out, reporter)
        return state.at if rank.first else None


def _plan(base: Plan, given: dict[str, Any]) -> Plan:
    """The setting with the flags that were given."""
    changes = {name: value for name, value in given.items() if value is not None}
    if "heads" in changes:
        changes["heads"] = tuple(cast(str, changes["heads"]).split(","))
    return msgspec.structs.replace(base, **changes)
