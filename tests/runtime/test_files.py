"""A file that is replaced is the old one or the new one, also when the disk is full or the writer dies."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.errors import StorageError, storage
from edgetl.runtime.files import replacing, write_file


def test_writes_text_and_bytes_and_makes_the_folder(tmp_path: Path) -> None:
    write_file(tmp_path / "new" / "deep" / "a.json", "ä")
    assert (tmp_path / "new/deep/a.json").read_bytes() == "ä".encode()
    write_file(tmp_path / "new/deep/a.json", b"\x00")
    assert (tmp_path / "new/deep/a.json").read_bytes() == b"\x00"
    assert [p.name for p in (tmp_path / "new/deep").iterdir()] == ["a.json"]
    assert (tmp_path / "new/deep/a.json").stat().st_mode & 0o777 == 0o644


def test_failure_in_between_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_bytes(b"half of the n")
        assert path.read_bytes() == b"old"
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from edgetl.runtime.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as t:\n    t.write_bytes(b'new'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_full_disk_is_one_clear_error_and_the_old_file_stays(full_disk: Path) -> None:
    path = full_disk / "a.bin"
    write_file(path, b"old")
    with pytest.raises(StorageError, match="the disk is full"):
        write_file(path, bytes(1 << 20))
    assert path.read_bytes() == b"old"
    assert [p.name for p in full_disk.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("where", ["/proc/edgetl/a.bin", "/dev/null/a.bin", "/sys/a.bin"])
def test_folder_that_cannot_be_written_is_a_storage_error(where: str) -> None:
    with pytest.raises(StorageError, match=f"cannot write {where}: "):
        write_file(Path(where), b"x")


def test_file_in_place_of_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"file")
    with pytest.raises(StorageError):
        write_file(tmp_path / "a" / "b.bin", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        write_file(tmp_path / "folder", b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_every_disk_error_names_the_place_and_stays_on_one_line(number: int) -> None:
    with pytest.raises(StorageError) as caught, storage("out/plot.png"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith("cannot write out/plot.png: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
