"""`edgetl outputs`: a group whose commands are imported when they are called."""

from __future__ import annotations

import click

from edgetl.lazy_group import LazyGroup, Table

COMMANDS: Table = {
    "safe": (
        "edgetl.runtime.commands.outputs_safe",
        "safe",
        "Drive the line's pins to their safe state, as after a crash.",
    ),
    "test": ("edgetl.runtime.commands.outputs_test", "test", "Send a test message to each output; say which answered."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def outputs() -> None:
    """Where results go: brokers, controllers, pins, servers and files."""
