"""Kills a flash at every system call that writes, syncs, renames or links, and looks what the device would start with.

    python -m edgetl.benchmarks.flash_cuts OLD.edgetl NEW.edgetl OUT [--power] [--only STATE]

In each state of a device (`states`) the real program does its next step under strace, which kills it at its first such
call, then its second, and so on; a call in a child process (the rehearsal, ssh-keygen) kills that child. After each
cut a service's start is decided from what is left: it must have exactly the old or the new release, or be in safe
mode where nothing else is left. Then the flash is run again, and must end as it would have without the cut. With
`--power` the device's root lies on an ext4 image, and what is looked at is a copy of the image made at the moment of
the kill, without a sync: what the disk would have after a power cut. The device requires signatures. Needs strace and
ssh-keygen; `--power` needs the right to mount.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import click

from edgetl.benchmarks.flash_cuts.cutting import COLUMNS, cut_state
from edgetl.benchmarks.flash_cuts.places import Place, PowerlessPlace
from edgetl.benchmarks.flash_cuts.releases import signed
from edgetl.benchmarks.flash_cuts.states import states
from edgetl.errors import UsageError
from edgetl.exits import ended


def as_markdown(table: dict[str, dict[str, int]]) -> str:
    """The table for people."""
    total = {c: sum(row[c] for row in table.values()) for c in COLUMNS}
    lines = [f"| state | {' | '.join(COLUMNS)} |", "|---" + "|---:" * len(COLUMNS) + "|"]
    for name, row in (*table.items(), ("all", total)):
        lines.append(f"| {name} | {' | '.join(str(row[c]) for c in COLUMNS)} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("old", type=click.Path(path_type=Path, exists=True))
@click.argument("new", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--power", is_flag=True, help="Cut the power instead of killing the program.")
@click.option("--only", multiple=True, metavar="STATE", help="Of the states, these; may be given often.")
def main(old: Path, new: Path, out: Path, power: bool, only: tuple[str, ...]) -> None:
    """Writes OUT.json and OUT.md, anew after each state."""
    for program in ("strace", "ssh-keygen"):
        if shutil.which(program) is None:
            raise UsageError(f"needs {program}: make system")
    table: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="edgetl-cuts-") as folder:
        releases = signed(old, new, Path(folder))
        place = PowerlessPlace(Path(folder)) if power else Place(Path(folder))
        try:
            for state in states(releases):
                if only and state.name not in only:
                    continue
                table[state.name] = cut_state(state, place, releases)
                out.with_suffix(".json").write_text(json.dumps({"power": power, "states": table}, indent=1) + "\n")
                out.with_suffix(".md").write_text(as_markdown(table))
        finally:
            if isinstance(place, PowerlessPlace):
                place.close()
    click.echo(as_markdown(table))


if __name__ == "__main__":
    sys.exit(ended(main))
