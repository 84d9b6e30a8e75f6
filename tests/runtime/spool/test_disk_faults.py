"""What the disk does to a spool, with real file systems and the kernel's own errors."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.spool import Spool
from tests.runtime.outputs.brokers import eventually
from tests.runtime.spool.reading import drain, fill, gaps, numbers, unaccounted

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def opened(folder: Path, **settings: object) -> Iterator[Spool]:
    spool = Spool(SpoolConfig(folder=str(folder), **settings), "press-3", ("plant",))  # type: ignore[arg-type]
    try:
        yield spool
    finally:
        spool.close()


def recorder(*arguments: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-m", "tests.runtime.spool.recorder", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts file systems for a test: `mounted("-t", "tmpfs", ...)` gives the folder."""
    folders: list[Path] = []

    def mount(*arguments: str) -> Path:
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def ext4_image(folder: Path) -> Path:
    """A file with an ext4 file system of 64 MB."""
    program, image = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin"), folder / "disk.img"
    if program is None:
        pytest.skip("needs mkfs.ext4: make system")
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    subprocess.run([program, "-q", "-F", str(image)], check=True)
    return image


def fill_disk(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x")
    return ballast


@pytest.mark.fault("D1")
@pytest.mark.fault("D2")
def test_a_full_disk_is_lived_through_in_memory_and_stored_when_there_is_room(mounted: Callable[..., Path]) -> None:
    disk = mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    with opened(disk / "spool", memory_bytes=32 * 1024) as spool:
        given = fill(spool, 50)
        assert spool.flush(20)
        ballast = fill_disk(disk)
        while spool.health().ok:
            given += fill(spool, 20)
            time.sleep(0.01)
        assert spool.health().detail == "the disk is full"
        bad = fill(spool, 10, "NG")
        given += bad + fill(spool, 1000)
        assert spool.health().in_memory * 64 < 32 * 1024 and spool.health().dropped > 0
        live = spool.batch("plant", 10_000)
        assert live.rows[-1].sequence == given[-1], "outputs get results while the disk is full"
        ballast.unlink()
        eventually(lambda: spool.health().ok)
        given += fill(spool, 5)
        assert spool.flush(20)
        got = drain(spool, "plant")
    assert set(bad) <= set(numbers(got)), "good parts went first"
    assert sum(g["lost"] for g in gaps(got)) == len(given) - len(numbers(got)) > 0
    assert unaccounted(given, got) == set()


@pytest.mark.fault("D1")
def test_a_disk_that_is_full_at_the_start_does_not_keep_the_line_from_running(full_disk: Path) -> None:
    fill_disk(full_disk)
    with opened(full_disk / "spool") as spool:
        given = fill(spool, 20)
        assert not spool.health().ok
        assert numbers(drain(spool, "plant")) == given
    with opened(full_disk / "spool") as spool:
        assert not set(fill(spool, 20)) & set(given), "no number twice, though none could be reserved"


@pytest.mark.fault("D3")
@pytest.mark.parametrize("when", [8, 9, 13])
def test_a_failed_fsync_is_believed(tmp_path: Path, when: int) -> None:
    """After an error the kernel may call lost pages clean: all is written anew, elsewhere, and the case is told."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: make system")
    inject = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject=fsync,fdatasync:error=EIO:when={when}")
    done = recorder(tmp_path / "spool", 40, 0.02, before=inject)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert told(out)[-1] == {"stored": True, "detail": ""}
    assert list((tmp_path / "spool").glob("spool.db.corrupt-*")), "the file that cannot be trusted is set aside"
    with opened(tmp_path / "spool") as spool:
        got = drain(spool, "plant")
    assert numbers(got) == list(range(1, 41))
    assert [(g["gap"], g["lost"]) for g in gaps(got)] == [("the disk reported an I/O error; stored anew", 0)]


@pytest.mark.fault("D4")
@pytest.mark.slow
def test_what_was_called_durable_is_there_after_a_power_cut(tmp_path: Path, mounted: Callable[..., Path]) -> None:
    """Copies of an ext4 image, made under load and without a sync, are what a disk holds when the power goes."""
    image = ext4_image(tmp_path)
    disk = mounted("-o", "loop", str(image))
    child = recorder(disk / "spool", 100_000, 0.003)
    assert child.stdout is not None
    cuts: list[tuple[Path, int]] = []
    try:
        last = 0
        for number in range(6):
            for line in child.stdout:
                last = json.loads(line)["durable"]
                if last >= (number + 1) * 25:
                    break
            copy = tmp_path / f"cut{number}.img"
            subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
            cuts.append((copy, last))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    for copy, durable in cuts:
        after = mounted("-o", "loop", str(copy))
        with opened(after / "spool") as spool:
            new = fill(spool, 3)
            assert spool.flush(30)
            got = drain(spool, "plant")
        assert set(range(1, durable + 1)) <= set(numbers(got)), f"{durable} were durable"
        assert new[0] > max(set(numbers(got)) - set(new)), "no number twice"
        assert unaccounted(list(range(1, new[-1] + 1)), got) == set()
        subprocess.run(["umount", str(after)], check=True)


@pytest.mark.fault("D5")
@pytest.mark.parametrize("harm", ["random pages", "header", "zero length", "no log", "no file"])
def test_a_damaged_database_is_set_aside_and_what_can_be_read_is_kept(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "spool"
    child = recorder(folder, 3000, 0.0005)
    assert child.stdout is not None
    durable = 0
    for line in child.stdout:
        durable = json.loads(line).get("durable", 0)
        if durable > 300:
            break
    child.kill()
    child.wait()
    database, log = folder / "spool.db", folder / "spool.db-wal"
    pictures = [folder / "reject-17.jpg", tmp_path / "reject-18.jpg"]
    for picture in pictures:
        picture.write_bytes(b"a picture")
    if harm == "no log":
        os.truncate(log, 0)
    else:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytearray(database.read_bytes())
        if harm == "random pages":
            for at in range(5 * 4096 + 100, len(data), 3 * 4096):
                data[at : at + 200] = os.urandom(200)
        elif harm == "header":
            data[:100] = bytes(100)
        database.write_bytes(b"" if harm == "zero length" else data)
        if harm == "no file":
            database.unlink()
    with opened(folder) as spool:
        new = fill(spool, 20)
        assert spool.flush(20)
        assert spool.health().ok
        got = drain(spool, "plant")
    assert gaps(got), "the gap is told"
    assert set(new) <= set(numbers(got))
    assert unaccounted(list(range(1, durable + 1)) + new, got) == set()
    assert not set(new) & set(range(1, durable + 1)), "no number twice"
    if harm in ("random pages", "header", "zero length"):
        assert list(folder.glob("spool.db.corrupt-*Z")), "set aside for those who want to look"
    if harm == "random pages":
        assert len(set(numbers(got)) - set(new)) > 0, "sound rows are kept"
    assert all(picture.read_bytes() == b"a picture" for picture in pictures)


@pytest.mark.fault("D5")
def test_damage_that_is_met_while_running_is_mended_without_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        given = fill(spool, 3000)
        assert spool.flush(30)
        database = tmp_path / "spool" / "spool.db"
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with database.open("r+b") as file:
            for page in range(20, database.stat().st_size // 4096, 5):
                file.seek(page * 4096)
                file.write(os.urandom(4096))
        got: list[dict[str, Any]] = []

        def all_told() -> bool:
            got.extend(drain(spool, "plant"))
            return not unaccounted(given, got)

        eventually(all_told, 60)
        assert 0 < len(set(numbers(got)) & set(given)) < 3000 and gaps(got)
        given = fill(spool, 5)
        assert spool.flush(30) and spool.health().ok
        assert set(given) <= set(numbers(drain(spool, "plant")))
        assert list((tmp_path / "spool").glob("spool.db.corrupt-*Z"))


@pytest.mark.fault("D7")
def test_a_file_system_that_turns_read_only_stops_nothing(tmp_path: Path, mounted: Callable[..., Path]) -> None:
    """As ext4 does by itself when it meets an error on the disk."""
    image = ext4_image(tmp_path)
    disk = mounted("-o", "loop,errors=remount-ro", str(image))
    device = subprocess.run(
        ["findmnt", "-no", "SOURCE", str(disk)], capture_output=True, text=True, check=True
    ).stdout.strip()
    trigger = Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error")
    if not trigger.exists():
        pytest.skip(f"needs {trigger}")
    with opened(disk / "spool") as spool:
        given = fill(spool, 20)
        assert spool.flush(20)
        trigger.write_text("a test of edgetl's")
        while spool.health().ok:
            given += fill(spool, 1)
            time.sleep(0.01)
        assert "read-only" in spool.health().detail or "I/O error" in spool.health().detail
        given += fill(spool, 50)
        assert [n for n in numbers(drain(spool, "plant")) if n in given[-50:]] == given[-50:], (
            "outputs go on from memory"
        )
        assert spool.health().dropped == 0


@pytest.mark.fault("D8")
def test_nothing_is_written_where_the_card_is_not_mounted(tmp_path: Path, mounted: Callable[..., Path]) -> None:
    card = mounted("-t", "tmpfs", "-o", "size=8m", "tmpfs")
    with opened(card / "spool", own_mount=True) as spool:
        given = fill(spool, 10)
        assert spool.flush(20)
    subprocess.run(["umount", str(card)], check=True)
    if card.stat().st_dev != Path("/").stat().st_dev:
        pytest.skip("needs the temporary folder on the root file system")
    with opened(card / "spool", own_mount=True) as spool:
        away = fill(spool, 10)
        assert "not on a file system of its own" in spool.health().detail
        assert list(card.iterdir()) == [], "the root file system is not filled"
        assert numbers(drain(spool, "plant")) == away
        assert not set(away) & set(given)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(card)], check=True)
        eventually(lambda: spool.health().ok, 60)
        given = fill(spool, 5)
        assert spool.flush(20)
        assert numbers(drain(spool, "plant")) == given
        assert (card / "spool" / "spool.db").exists()


@pytest.mark.slow
@pytest.mark.fault("D10")
def test_a_slow_card_makes_nobody_wait(tmp_path: Path) -> None:
    """Every sync takes a second. The thread that gives results never asks for one: strace counts each thread's."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: make system")
    log = tmp_path / "calls"
    slow = ("strace", "-f", "-qq", "-o", str(log), "-e", "trace=fsync,fdatasync,write", "-s", "40",
            "-e", "inject=fsync,fdatasync:delay_enter=1000000")  # fmt: skip
    child = recorder(tmp_path / "spool", 500, before=slow)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    _, taken, stored = told(out)
    assert taken["in_memory"] > 0, "they were taken before the card had them"
    assert stored == {"stored": True, "detail": ""}
    giving, others = syncs_while_giving(log.read_text())
    assert giving == 0 and others < 50, "five hundred results, and a second for each sync"
    with opened(tmp_path / "spool") as spool:
        assert numbers(drain(spool, "plant")) == list(range(1, 501))


def syncs_while_giving(log: str) -> tuple[int, int]:
    """How many syncs strace saw between the recorder's words `durable` and `given`: by the thread that said them, and
    by all others until the end."""
    lines = [line.split(maxsplit=1) for line in log.splitlines()]
    begun = next(i for i, (_, call) in enumerate(lines) if "durable" in call)
    given = next(i for i, (_, call) in enumerate(lines) if "given" in call)
    main = lines[begun][0]
    syncs = [
        (i, thread) for i, (thread, call) in enumerate(lines) if i > begun and call.startswith(("fsync(", "fdatasync("))
    ]
    assert syncs, "the injection works"
    return sum(thread == main and i < given for i, thread in syncs), sum(thread != main for _, thread in syncs)
