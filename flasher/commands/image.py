"""`edgetl device image`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.errors import UsageError

if TYPE_CHECKING:
    from edgetl.flasher.provision.boot_partition import BootPartition
    from edgetl.flasher.provision.card import Login
    from edgetl.flasher.provision.desired import Wanted
    from edgetl.flasher.provision.wheelhouse import Target

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("target", type=click.Path(path_type=Path), metavar="IMAGE|CARD|FOLDER")
@click.option("--config", required=True, metavar="NAME|FILE", help="Settings: edgetl device configs lists them.")
@click.option("--key", "keys", type=_FILE, multiple=True, required=True, help="A public SSH key that may log in.")
@click.option("--bundle", type=_FILE, help="The release that it inspects with from its first boot on.")
@click.option("--signers", type=_FILE, help="Whose releases it takes: ssh-keygen's allowed signers file.")
@click.option("--line", type=_FILE, help="The line's file for its service.")
@click.option("--hostname", default="edgetl", show_default=True, help="Its name in the network.")
@click.option("--user", default="pi", show_default=True, help="The user to log in as.")
@click.option(
    "--wifi",
    nargs=2,
    default=None,
    metavar="NETWORK COUNTRY",
    help="Its passphrase is asked for, or read from $EDGETL_WIFI_PASSPHRASE.",
)
@click.option(
    "--wheelhouse",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Packages from edgetl device wheelhouse.",
)
@click.option("--extra", "extras", multiple=True, help="More of edgetl's extras, as line or page.")
@click.option("--python", "python", default="3.11", show_default=True, help="The system's Python: 3.11 in bookworm.")
@click.option("--glibc", default="2.36", show_default=True, help="The system's C library: 2.36 in bookworm.")
@click.option(
    "--style",
    type=click.Choice(["auto", "cloud-init", "firstrun"]),
    default="auto",
    show_default=True,
    help="How the system is told; auto looks at its files.",
)
@click.option(
    "--boot", default="/boot/firmware", show_default=True, help="Where the system mounts it; /boot before bookworm."
)
@click.option("--yes", metavar="CARD", default=None, help="The card's path again, instead of the question.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def image(
    target: Path, config: str, keys: tuple[Path, ...], bundle: Path | None, signers: Path | None, line: Path | None,
    hostname: str, user: str, wifi: tuple[str, str] | None, wheelhouse: Path | None, extras: tuple[str, ...],
    python: str, glibc: str, style: str, boot: str, yes: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write a card that inspects from its first boot on: a Raspberry Pi OS image, a card, or its mounted boot folder."""
    from edgetl.flasher.commands.init import wanted_files
    from edgetl.flasher.commands.wheelhouse import version
    from edgetl.flasher.provision.boot_partition import is_block_device, open_partition
    from edgetl.flasher.provision.card import Login
    from edgetl.flasher.provision.card_python import check_python, doubt, read_python
    from edgetl.flasher.provision.desired import device_extra
    from edgetl.flasher.provision.wheelhouse import Target

    wanted = wanted_files(config, line, signers, None)
    login = Login(user, hostname, _keys(keys), _wifi(wifi))
    _check_names(login)
    partition = open_partition(target)
    check_python(target, found := read_python(target), version(python))
    if found is None and (said := doubt(partition.names(), partition.read("issue.txt"))):
        click.echo(f"edgetl: warning: {target}: {said}", err=True)
    if is_block_device(target):
        _confirm(target, yes)
    wanted_extras = (device_extra(wanted.config), *sorted(set(extras)))
    runs_on = Target(wanted.config.architecture, version(python), version(glibc), wanted_extras)
    chosen, size = _write(partition, target, wanted, login, runs_on, bundle, wheelhouse, style, boot)
    if as_json:
        click.echo(json.dumps({"target": str(target), "style": chosen, "bytes": size, "login": f"{user}@{hostname}"}))
        return
    click.echo(
        f"{target}: ready ({chosen}), {size / 1e6:.0f} MB written; it answers as {user}@{hostname} after its first boot"
    )


def _write(
    partition: BootPartition, target: Path, wanted: Wanted, login: Login, runs_on: Target, bundle: Path | None,
    wheelhouse: Path | None, style: str, boot: str,
) -> tuple[str, int]:  # fmt: skip
    from edgetl.flasher.provision import card
    from edgetl.flasher.provision.places import Places
    from edgetl.flasher.provision.provisioning import carried_packages

    names = partition.names()
    if not card.is_boot_partition(names):
        raise UsageError(f"{target}: no boot partition of Raspberry Pi OS (config.txt and cmdline.txt are missing)")
    packages = carried_packages(runs_on, wheelhouse, lambda text: click.echo(text, err=True))
    todo = card.steps(wanted, login, runs_on, packages)
    where = Places.of(wanted.config.paths)
    files: dict[str, str | Path] = dict(card.setup_files(todo, where, bundle=bundle is not None))
    files |= {f"{card.FOLDER}/wheels/{Path(wheel.path).name}": Path(wheel.path) for wheel in packages.wheels}
    if bundle is not None:
        files[card.BUNDLE] = bundle
    chosen = card.detected_style(names) if style == "auto" else style
    if chosen == "cloud-init":
        files |= card.cloud_init(login)
    else:
        files |= card.firstrun(login, boot, where)
        files["cmdline.txt"] = card.command_line(partition.read("cmdline.txt"), boot)
    partition.write(files)
    return chosen, sum(f.stat().st_size if isinstance(f, Path) else len(f) for f in files.values())


def _confirm(target: Path, yes: str | None) -> None:
    """A disk is never guessed: it was named, it is shown, and its name is asked for once more."""
    from edgetl.flasher.provision.boot_partition import describe

    click.echo(describe(target), err=True)
    typed = (
        yes
        if yes is not None
        else click.prompt("Type the card's path to write to its boot partition", default="", err=True)
    )
    if typed != str(target):
        raise UsageError(f"{target}: not confirmed; nothing was written")


def _keys(paths: tuple[Path, ...]) -> tuple[str, ...]:
    keys = tuple(line for path in paths for line in path.read_text().splitlines() if line and not line.startswith("#"))
    for key in keys:
        if "PRIVATE KEY" in key or len(key.split()) < 2:
            raise UsageError(f"{paths[0]}: not a public SSH key; name the file that ends in .pub")
    return keys


def _wifi(wifi: tuple[str, str] | None) -> tuple[str, str, str] | None:
    import os

    if wifi is None:
        return None
    passphrase = os.environ.get("EDGETL_WIFI_PASSPHRASE") or click.prompt("Passphrase", hide_input=True, err=True)
    return wifi[0], passphrase, wifi[1]


def _check_names(login: Login) -> None:
    import re

    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", login.hostname):
        raise UsageError(f"{login.hostname!r} is no host name; use letters, digits and hyphens")
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", login.user) or login.user == "root":
        raise UsageError(f"{login.user!r} is no user name for a login; use letters, digits and hyphens, and not root")
