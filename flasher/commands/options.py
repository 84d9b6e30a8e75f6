"""Options that all commands to a device share."""

from __future__ import annotations

from pathlib import Path

import click

agent_option = click.option(
    "--agent", default="edgetl", show_default=True, metavar="COMMAND", help="The command of edgetl on the device."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
ssh_config_option = click.option(
    "--ssh-config",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="In place of ~/.ssh/config.",
)
inventory_option = click.option(
    "--inventory",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Ansible's; HOST is then a host or a group of it, whose devices come one after the other.",
)
