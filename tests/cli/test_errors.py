"""Every error has its own code, an exit code that means something, and one line."""

from __future__ import annotations

import errno
import inspect
import os
import re
from pathlib import Path

import pytest
import torch

from edgetl import errors
from edgetl.errors import EdgetlError, StorageError, storage

ROOT = Path(__file__).parents[2]
ROOMS = ("runtime", "trainer", "exporter", "flasher", "benchmarks")


def tree(kind: type[EdgetlError] = EdgetlError) -> list[type[EdgetlError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


def test_every_code_is_of_one_error() -> None:
    codes = [kind.code for kind in tree()]
    assert len(codes) > 15
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("E_") and code.isupper() for code in codes)


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_message_is_one_line_whatever_it_was_made_from(kind: type[EdgetlError]) -> None:
    error = kind("first\n  second\r\n\tthird\u2028fourth\x0bfifth\n")
    assert str(error) == "first second third fourth fifth"
    assert len(str(error).splitlines()) == 1


def test_exit_codes_say_failed_check_wrong_use_or_missing_part() -> None:
    by_code = {code: {kind.__name__ for kind in tree() if kind.exit_code == code} for code in (1, 2, 3)}
    assert sum(map(len, by_code.values())) == len(tree())
    assert by_code[2] == {"UsageError", "DatasetError", "ConflictError"}
    assert by_code[3] == {"MissingPartError"}


def test_every_error_stands_in_the_tree_at_the_top_of_the_file() -> None:
    described = inspect.getdoc(errors)
    assert described is not None
    for kind in tree():
        assert kind.__name__ in described
        assert kind.__doc__


def test_no_room_has_an_error_of_its_own() -> None:
    """Imported by nobody yet, such an error would be missing from the tests above."""
    names = "|".join(kind.__name__ for kind in tree())
    own = re.compile(rf"^class \w+\(.*\b({names})\b.*\):", re.MULTILINE)
    rooms = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert len(rooms) > 100
    assert [str(path) for path in rooms if own.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EACCES, "no permission"),
     (errno.ENOTDIR, "is a file, not a folder"), (errno.EISDIR, "it is a folder"), (errno.EIO, "I/O error"),
     (errno.ENAMETOOLONG, "File name too long")],
)  # fmt: skip
def test_disk_errors_say_where_and_what_to_do(number: int, words: str) -> None:
    with pytest.raises(StorageError) as caught, storage("/some/where"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith("cannot write /some/where: ")
    assert words in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            "no memory is left on the accelerator",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
            "no memory is left",
        ),
        (MemoryError(), "no memory is left"),
    ],
)
def test_memory_that_ends_is_a_limit_with_what_to_do(error: Exception, words: str) -> None:
    found = errors.limit_reached(error)
    assert found is not None and words in str(found) and "smaller" in str(found)
    assert errors.limit_reached(RuntimeError("something else")) is None


def test_other_errors_pass_through() -> None:
    with pytest.raises(KeyError), storage("x"):
        raise KeyError
    with pytest.raises(errors.ModelError), storage("x"):
        raise errors.ModelError("as it was")
