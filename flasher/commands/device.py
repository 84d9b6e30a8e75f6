"""`edgetl device`: a group whose commands are imported when they are called."""

from __future__ import annotations

import click

from edgetl.lazy_group import LazyGroup, Table

COMMANDS: Table = {
    "status": (
        "edgetl.flasher.commands.status",
        "status",
        "Which release a device runs, and how the last flash ended.",
    ),
    "init": ("edgetl.flasher.commands.init", "init", "Set a device up over SSH: environment, user, slots, service."),
    "doctor": ("edgetl.flasher.commands.doctor", "doctor", "What is wrong with a device, and how to mend it."),
    "image": ("edgetl.flasher.commands.image", "image", "Write a card that inspects from its first boot on."),
    "wheelhouse": ("edgetl.flasher.commands.wheelhouse", "wheelhouse", "Fetch packages for devices without internet."),
    "configs": ("edgetl.flasher.commands.configs", "configs", "The devices that edgetl knows, with their settings."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def device() -> None:
    """Devices at the line: which release they run, how they are."""
