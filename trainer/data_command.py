"""`edgetl data`: look at a data set before training on it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import msgspec

from edgetl.trainer.options import RESIZES, normalization_option, region_of
from edgetl.trainer.settings import Preset
from edgetl.trainer.share import share


@click.group()
def data() -> None:
    """Look at a data set before training on it."""


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None, metavar="HTML", help="Also write the report with thumbnails.")  # fmt: skip
@click.option("--model", default="mobilenet_v2", show_default=True, metavar="NAME", help="Backbone for doubtful labels and learning curves.")  # fmt: skip
@click.option(
    "--weights",
    default="auto",
    show_default=True,
    metavar="auto|builtin|none|FILE",
    help="Its pretrained weights (auto: where there are none, a net whose weights come with edgetl); none leaves those two out.",
)
@normalization_option
@click.option("--imgsz", default=224, show_default=True, help="Side of the backbone's input in pixels.")
@click.option("--reach", default="95%", callback=share, show_default=True, metavar="SHARE", help="Say how many pictures each class needs for such a recall.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything found as one JSON line.")
def check(
    folder: Path,
    out: Path | None,
    model: str,
    weights: str,
    normalization: str,
    imgsz: int,
    reach: float,
    as_json: bool,
) -> int:
    """Broken files, copies, leakage, imbalance, doubtful labels, shortcuts, and how many pictures are enough.

    Ends with 1 where something makes a measured accuracy meaningless: a picture in two classes or in two splits.
    """
    from edgetl.trainer.datacheck.check import Options
    from edgetl.trainer.datacheck.check import check as look
    from edgetl.trainer.datacheck.report import advice, left_out, needs, write_report
    from edgetl.trainer.progress import ConsoleReporter

    options = Options(data=folder, model=model, weights=weights, normalization=normalization, imgsz=imgsz, reach=reach)
    with ConsoleReporter() as reporter:
        found = look(options, reporter)
    if out is not None:
        write_report(found, out)
    if as_json:
        click.echo(msgspec.json.encode({**msgspec.to_builtins(found), "passed": found.passed}).decode())
        return 0 if found.passed else 1
    click.echo(", ".join(f"{label} {n}" for label, n in found.pictures.items()))
    for finding in found.findings:
        click.echo(f"{finding.severity}: {finding.message}; {finding.advice}")
    if found.skipped:
        click.echo(f"left out: doubtful labels and learning curves: {found.skipped}")
    if found.too_few:
        click.echo(left_out(found.too_few, found.pictures))
    if found.curves:
        click.echo(advice(found.curves))
        for line in needs(found.curves, found.pictures):
            click.echo(line)
    return 0 if found.passed else 1


@data.command()
@click.argument("folder", metavar="DIR|RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="PNG", help="The contact sheet to write.")  # fmt: skip
@click.option("--augmentation", type=click.Choice(get_args(Preset)), help="[default: scene; of a run, its own]")
@click.option("--imgsz", type=int, help="Side of the model's input in pixels.  [default: 224; of a run, its own]")
@click.option("--resize", type=click.Choice(RESIZES), help="[default: squash; of a run, its own]")
@click.option("--region", callback=region_of, metavar="X0,Y0,X1,Y1", help="Part of the frame to look at, as fractions.  [default: all of it; of a run, its own]")  # fmt: skip
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def preview(
    folder: Path, out: Path, augmentation: str | None, imgsz: int | None, resize: str | None,
    region: tuple[float, ...] | None, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """A contact sheet of what the model will see: each picture as it is, then as training changes it.

    Of a run, what that one saw: its training pictures, cut and changed as it decided.
    """
    from edgetl.trainer.datacheck.preview import view_of, write_preview

    view = view_of(folder, augmentation, size=imgsz, resize=resize, region=region)
    rows, augmentation = write_preview(view, out, seed), view.augmentation
    if as_json:
        click.echo(msgspec.json.encode({"out": str(out), "rows": rows, "augmentation": augmentation}).decode())
        return
    click.echo(f"{out}: {rows} pictures, each as it is and changed by {augmentation!r}")


@data.command()
@click.argument("base", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("collected", metavar="COLLECTED", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="NEW", help="The folder of the new version.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the new version's lineage as one JSON line.")
def merge(base: Path, collected: Path, out: Path, as_json: bool) -> None:
    """A new version of the data set DIR with the labelled pictures of COLLECTED, and where each came from.

    NEW/lineage.json names every added picture with the verdict it had on the line. DIR is not changed.
    """
    from edgetl.trainer.review.merge import merge as joined

    version = joined(base, collected, out)
    if as_json:
        click.echo(msgspec.json.encode(version).decode())
        return
    known = f", {version.left_out} were in it already" if version.left_out else ""
    click.echo(f"{out}: {version.base_pictures} pictures and {len(version.added)} new ones{known}")
