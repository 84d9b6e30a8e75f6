"""Shares as people write them: 0.1% or 0.001."""

from __future__ import annotations

import click


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A click callback for a share above 0 and below 1."""
    if value is None:
        return None
    try:
        found = float(value.rstrip("%")) / (100 if value.endswith("%") else 1)
    except ValueError as error:
        raise click.BadParameter("a share such as 0.1% or 0.001") from error
    if not 0 < found < 1:
        raise click.BadParameter("more than 0 and less than 100 %")
    return found
