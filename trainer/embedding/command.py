"""`edgetl embed`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edgetl.trainer.options import RESIZES, normalization_option, numbers_of, region_of

if TYPE_CHECKING:
    from edgetl.trainer.embedding.shots import Handful, Reached


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="DIR", help="DIR/<class>/… or DIR/{train,val,test}/<class>/…")  # fmt: skip
@click.option(
    "--model",
    required=True,
    metavar="NAME|RUN",
    help="A plain name or one of timm's (vit_small_patch14_dinov2.lvd142m), clip:NAME of open_clip's, or a finished run.",
)
@click.option("--weights", default="auto", show_default=True, metavar="auto|builtin|none|FILE", help="Pretrained weights: from the cache or hub, built-in, none, or a file; for clip: also a tag of open_clip's.")  # fmt: skip
@normalization_option
@click.option("--out", type=click.Path(path_type=Path), default=None, metavar="NPZ", help="Write the features, labels, paths and hashes there.")  # fmt: skip
@click.option("--imgsz", type=click.IntRange(32, 1024), default=None, help="Side of the net's input in pixels.  [default: 224; clip: its own]")  # fmt: skip
@click.option("--resize", type=click.Choice(RESIZES), default="squash", show_default=True)  # fmt: skip
@click.option("--region", callback=region_of, metavar="X0,Y0,X1,Y1", help="Part of the frame to look at, as fractions.")
@click.option("--shots", callback=numbers_of, metavar="1,5,10", help="Say how far so many pictures a class get.")
@click.option("--draws", type=click.IntRange(1, 1000), default=20, show_default=True, help="How often to draw them.")
@click.option("--seed", type=click.IntRange(0, (1 << 32) - 1), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def embed(
    data: Path, model: str, weights: str, normalization: str, out: Path | None, imgsz: int | None, resize: str,
    region: tuple[float, float, float, float] | None, shots: tuple[int, ...], draws: int, seed: int, device: str,
    as_json: bool,
) -> None:  # fmt: skip
    """What a frozen net sees in pictures: features to a file, and how far a handful of labelled pictures gets on them.

    The table's rows take so many pictures of each class, its columns are the nearest neighbours and a linear head. Where
    DIR has a test folder, that judges; else all pictures that did not teach.
    """
    from edgetl.errors import UsageError
    from edgetl.trainer.embedding.embedding import Options, write_npz
    from edgetl.trainer.embedding.embedding import embed as look
    from edgetl.trainer.embedding.extractor import Looking
    from edgetl.trainer.embedding.shots import handfuls
    from edgetl.trainer.progress import ConsoleReporter

    if out is None and not shots:
        raise UsageError("nothing to do; name --out FILE.npz, --shots 1,5,10, or both")
    looking = Looking(size=imgsz, resize=resize, region=region, normalization=normalization)
    options = Options(data=data, model=model, weights=weights, looking=looking, device=device, seed=seed)
    with ConsoleReporter() as reporter:
        found = look(options, reporter)
        for path, reason in found.passed_over.items():
            reporter.say(f"passed over: {path}: {reason}")
        if out is not None:
            write_npz(out, found)
        reporter.begin("handfuls", len(shots) + 1)
        rows = handfuls(found.labelled(), shots, draws, seed, reporter.advance) if shots else []
    pictures, width = found.features.shape
    summary = {"out": str(out) if out else None, "pictures": pictures, "features": width, "classes": found.labels,
               "model": found.extractor.model, "weights": found.extractor.weights, "handfuls": rows}  # fmt: skip
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(summary), ensure_ascii=False))
        return
    if out is not None:
        click.echo(f"{out}: {pictures} pictures, {width} features each, of {found.extractor.model}")
    if rows:
        click.echo(_table(rows))


def _table(rows: list[Handful]) -> str:
    lines = [
        f"{'pictures a class':<18}{'nearest neighbours':>28}{'linear head':>28}   balanced accuracy, 95 % of draws"
    ]
    for row in rows:
        shots = "all" if row.shots is None else row.shots
        lines.append(f"{shots:<18}{_share(row.nearest):>28}{_share(row.linear):>28}")
    return "\n".join(lines)


def _share(reached: Reached) -> str:
    low, high = 100 * reached.interval.low, 100 * reached.interval.high
    return f"{100 * reached.mean:.1f} ({low:.1f} to {high:.1f}) %"
