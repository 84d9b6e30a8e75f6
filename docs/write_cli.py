"""Writes docs/cli.md from the commands themselves: `python docs/write_cli.py`. A test fails when it is out of date."""

from __future__ import annotations

from pathlib import Path

import click

from edgetl.cli import COMMANDS, root


def cli_reference() -> str:
    """The command line reference, in Markdown."""
    parts = ["# Command line", "", "Written by `make docs` from the commands' own help.", ""]
    parts += ["Exit codes: 0 success, 1 a failed check, 2 wrong usage, 3 a missing optional part.", ""]
    with root.make_context("edgetl", [], resilient_parsing=True) as context:
        for name in COMMANDS:
            parts += _sections(root, name, context, 2)
    return "\n".join(parts)


def _sections(group: click.Group, name: str, parent: click.Context, level: int) -> list[str]:
    """A command's help, and below it that of its own commands."""
    command = group.get_command(parent, name)
    assert command is not None
    with click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100) as own:
        parts = [f"{'#' * level} {own.command_path}", "", "```", command.get_help(own), "```", ""]
        if isinstance(command, click.Group):
            for inner in command.list_commands(own):
                parts += _sections(command, inner, own, level + 1)
    return parts


if __name__ == "__main__":
    (Path(__file__).parent / "cli.md").write_text(cli_reference())
