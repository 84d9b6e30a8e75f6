"""What several commands' flags mean."""

from __future__ import annotations

import click

RESIZES = ("squash", "fit-shortest", "fit-longest")  # runtime/preprocess.py says what each means


def region_of(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """`--region X0,Y0,X1,Y1` as four fractions."""
    if value is None:
        return None
    try:
        numbers = tuple(float(v) for v in value.split(","))
    except ValueError as error:
        raise click.BadParameter("four numbers x0,y0,x1,y1 from 0 to 1") from error
    if len(numbers) != 4:
        raise click.BadParameter("four numbers x0,y0,x1,y1 from 0 to 1")
    return numbers


def numbers_of(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    """A list like `1,5,10` as numbers above 0, each once, in order."""
    try:
        numbers = sorted({int(v) for v in value.split(",")}) if value else []
    except ValueError as error:
        raise click.BadParameter("numbers of pictures, like 1,5,10") from error
    if numbers and numbers[0] < 1:
        raise click.BadParameter("numbers of pictures from 1, like 1,5,10")
    return tuple(numbers)


normalization_option = click.option(
    "--normalization",
    default="auto",
    show_default=True,
    metavar="auto|imagenet|inception|unit|R,G,B/R,G,B",
    help="What a file of weights expects: imagenet's mean and deviation, inception: -1 to 1, unit: 0 to 1, or three means and "
    "deviations. auto: what a .safetensors file notes, else the architecture's.",
)
