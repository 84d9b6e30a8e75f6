"""How long a flash takes: `python -m edgetl.benchmarks.flash_time ONE.edgetl TWO.edgetl OUT --to HOST [ssh options]`.

The two bundles are flashed in turn by the real command, as a user would: connection, upload, golden replay in a child,
swap. ONE must not be older than what runs there; where it is signed anew for each round (`--key`), each flash brings a
newer release and none needs leave to be older. On a device without a running service the trial takes no time. Where
the device's folder lies on this machine (`--root`), what it holds is told too: its size after each flash, the slots and
files at the end.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgetl.exits import ended


def seconds(bundle: Path, arguments: list[str]) -> float:
    """Wall time of one `edgetl flash`, its process start included."""
    command = [sys.executable, "-m", "edgetl", "flash", str(bundle), "--json", *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode != 0:
        raise click.ClickException(done.stderr.strip().splitlines()[-1])
    if not json.loads(done.stdout.splitlines()[-1])["changed"]:
        raise click.ClickException(f"{bundle} ran already; name two bundles")
    return took


def numbered(bundle: Path, key: Path, number: int, folder: Path) -> Path:
    """The bundle as release `number`, signed."""
    out = folder / f"{number}.edgetl"
    command = [sys.executable, "-m", "edgetl", "sign", str(bundle), "--key", str(key), "--number", str(number)]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise click.ClickException(done.stderr.strip().splitlines()[-1])
    return out


def bytes_in(root: Path) -> int:
    """What the files of a device take on its disk, the journal and what it has put by for itself included."""
    return sum(found.stat().st_blocks * 512 for found in root.rglob("*") if found.is_file() and not found.is_symlink())


def held(root: Path, sizes: list[int]) -> dict[str, Any]:
    """What a device's folder holds at the end, and how its size went since both slots were full."""
    files = sorted(str(f.relative_to(root)) for f in root.rglob("*") if f.is_file() and f.parent.name != "run")
    full = sizes[2:] or sizes
    return {
        "files": files, "slots": [f for f in files if f.startswith("slots/")], "staging": len(list((root / "staging").iterdir())),
        "journal_bytes": (root / "journal").stat().st_size, "bytes_after_third": full[0], "bytes_at_end": full[-1],
        "bytes_most": max(full),
    }  # fmt: skip


def _bundles(one: Path, two: Path, rounds: int, key: Path | None, folder: Path) -> Iterator[Path]:
    """What is flashed; with a key a newer release each time, made when it is its turn."""
    for number, bundle in enumerate(rounds * (one, two), 1):
        made = numbered(bundle, key, number, folder) if key is not None else bundle
        yield made
        if made != bundle:
            made.unlink()


@click.command()
@click.argument("one", type=click.Path(path_type=Path, exists=True))
@click.argument("two", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--to", "host", required=True)
@click.option("--agent", default="edgetl")
@click.option("--ssh-config", default=None)
@click.option("--key", type=click.Path(path_type=Path), default=None, help="Sign each flash's release anew, and newer.")
@click.option("--downgrade-key", default=None, help="Without --key, where the device requires signatures.")
@click.option("--root", type=click.Path(path_type=Path), default=None, help="The device's folder, if it is here.")
@click.option("--about-mb", type=float, default=None, help="Refuse bundles that are a quarter larger or smaller.")
@click.option("--rounds", default=5, show_default=True, help="Of two flashes each.")
def main(
    one: Path, two: Path, out: Path, host: str, agent: str, ssh_config: str | None, key: Path | None,
    downgrade_key: str | None, root: Path | None, about_mb: float | None, rounds: int,
) -> None:  # fmt: skip
    """Writes OUT, and prints the same."""
    for bundle in (one, two):
        size_mb = bundle.stat().st_size / 1e6
        if about_mb is not None and not 0.75 * about_mb <= size_mb <= 1.25 * about_mb:
            raise click.ClickException(f"{bundle} has {size_mb:.2f} MB, which is not about {about_mb:g}")
    arguments = ["--to", host, "--agent", agent, *(["--ssh-config", ssh_config] if ssh_config else [])]
    back = ["--allow-downgrade", *(["--downgrade-key", downgrade_key] if downgrade_key else [])]
    took: list[float] = []
    sizes: list[int] = []
    with tempfile.TemporaryDirectory(prefix="edgetl-time-") as folder:
        for bundle in _bundles(one, two, rounds, key, Path(folder)):
            took.append(seconds(bundle, arguments + (back if took and key is None else [])))
            sizes += [bytes_in(root)] if root is not None else []
    result = {
        "machine": platform.machine(), "bundle_mb": round(one.stat().st_size / 1e6, 2), "other_mb": round(two.stat().st_size / 1e6, 2),
        "flashes": len(took), "median_s": round(statistics.median(took), 2), "max_s": round(max(took), 2),
        "seconds": [round(s, 2) for s in took], **({"device": held(root, sizes)} if root is not None else {}),
    }  # fmt: skip
    out.write_text(json.dumps(result, indent=1) + "\n")
    click.echo(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
