"""Groups of commands that are imported when they are called (after click's documented pattern)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

# name: (module, attribute, one line for --help)
Table = Mapping[str, tuple[str, str, str]]


class LazyGroup(click.Group):
    """A group that knows its commands by a table and imports the one that is asked for."""

    def __init__(self, *args: Any, table: Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, attribute, _ = self.table[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[2]) for name, row in self.table.items()])
