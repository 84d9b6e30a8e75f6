"""`edgetl page-password`."""

from __future__ import annotations

import sys

import click
import msgspec

from edgetl.errors import UsageError


@click.command("page-password")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def page_password(as_json: bool) -> None:
    """Ask for a password and print its hash, which goes into `page.password` of a line's file.

    The password is asked for twice without being shown, or read as one line from a pipe.
    """
    from edgetl.runtime.page.password import MIN_LENGTH, hashed

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < MIN_LENGTH:
        raise UsageError(f"the password has {len(password)} characters; at least {MIN_LENGTH} are needed")
    hash = hashed(password)
    click.echo(msgspec.json.encode({"password": hash}).decode() if as_json else hash)
