"""Whether the Python of the system on a card is one that edgetl runs on: a card that would never inspect is not written."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Set
from pathlib import Path

from edgetl.errors import UsageError
from edgetl.flasher.provision.boot_partition import linux_partitions
from edgetl.flasher.provision.card import detected_style
from edgetl.flasher.provision.survey import PYTHONS

_LINK = re.compile(r'link dest: "python(\d+)\.(\d+)"')

Version = tuple[int, int]


def read_python(target: Path) -> Version | None:
    """The version that /usr/bin/python3 leads to on an image or a card; None where nothing here can read that."""
    program = shutil.which("debugfs", path="/usr/sbin:/sbin:/usr/bin")
    if target.is_dir() or program is None:
        return None
    for offset in linux_partitions(target):
        done = subprocess.run(
            [program, "-R", "stat /usr/bin/python3", f"{target}?offset={offset}"], capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        if found := _LINK.search(done.stdout):
            return int(found[1]), int(found[2])
    return None


def check_python(target: Path, found: Version | None, wanted: Version) -> None:
    """Raises UsageError where `wanted`, that of the wheels, is not what the system has, or nothing that edgetl runs on."""
    runs_on = f"edgetl runs on Python {_text(PYTHONS[-1])} to {_text(PYTHONS[0])}"
    if wanted not in PYTHONS:
        raise UsageError(f"--python {_text(wanted)}: {runs_on}; take a system with one of them, as bookworm")
    if found is None or found == wanted:
        return
    if found not in PYTHONS:
        raise UsageError(f"{target}: its system has Python {_text(found)}, {runs_on}; take an image of bookworm")
    raise UsageError(
        f"{target}: its system has Python {_text(found)}, the wheels are for {_text(wanted)}; give --python "
        f"{_text(found)}, and --glibc of that system"
    )


def doubt(names: Set[str], issue: str) -> str | None:
    """What the boot partition alone tells of a Python that cannot be read; None where it tells nothing.

    `names`: the files in its root; `issue`: the text of its issue.txt, by which Raspberry Pi OS names itself.
    """
    if detected_style(set(names)) == "cloud-init" and issue.startswith("Raspberry Pi"):
        return (
            "Raspberry Pi OS reads cloud-init from trixie on, which has Python 3.13, and edgetl does not run on that; "
            "take an image of bookworm"
        )
    return None


def _text(version: Version) -> str:
    return ".".join(map(str, version))
