"""`edgetl sim-data`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edgetl.errors import UsageError, storage


@click.command(name="sim-data")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder to write.")
@click.option(
    "--train",
    "train_count",
    type=click.IntRange(1),
    default=150,
    show_default=True,
    help="Pictures per class to train with.",
)
@click.option(
    "--test",
    "test_count",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Pictures per class to test with.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def sim_data(out: Path, train_count: int, test_count: int, seed: int, as_json: bool) -> None:
    """Write a labelled data set of the drawn part that `sim:` shows on its conveyor."""
    from edgetl.runtime.sim import LABELS, write_dataset

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: not an empty folder; choose another --out")
    per_class = train_count + test_count
    shares = {"train": train_count / per_class, "test": test_count / per_class}
    stderr = sys.stderr
    with storage(out), click.progressbar(length=len(LABELS) * per_class, label="drawing", file=stderr) as bar:
        written = write_dataset(
            out, seed=seed, pictures_per_class=per_class, splits=shares,
            on_progress=lambda _done, _total: bar.update(1),
        )  # fmt: skip
    click.echo(json.dumps({"data": str(out), "pictures": written}) if as_json else f"{out}: {written} pictures")
