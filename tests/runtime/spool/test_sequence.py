"""No number twice: not after a stop of any kind, and not because the disk was full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgetl.runtime.spool.sequence import BLOCK, Numbers, SequenceFile


def test_the_file_remembers_the_newest_number_even_when_it_is_smaller(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    assert SequenceFile(path).read() == 0
    file = SequenceFile(path)
    for number in (1000, 2000, 1234):
        file.write(number)
        assert SequenceFile(path).read() == number


@pytest.mark.parametrize("at", range(0, 64, 5))
def test_a_torn_slot_leaves_the_other(tmp_path: Path, at: int) -> None:
    path = tmp_path / "sequence"
    file = SequenceFile(path)
    file.write(1000)
    file.write(2000)
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    assert SequenceFile(path).read() in (1000, 2000)
    torn = SequenceFile(path)
    torn.read()
    torn.write(3000)
    assert SequenceFile(path).read() == 3000


def test_a_full_disk_does_not_keep_numbers_from_being_reserved(full_disk: Path) -> None:
    file = SequenceFile(full_disk / "sequence")
    file.write(1000)
    with (full_disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError):
        while True:
            ballast.write(os.urandom(4096))
    file.write(2000)
    assert SequenceFile(full_disk / "sequence").read() == 2000


def test_more_are_asked_for_while_half_the_block_is_left() -> None:
    asked: list[int] = []
    numbers = Numbers(1, BLOCK, lambda: asked.append(1))
    for _ in range(BLOCK // 2 - 2):
        numbers.give()
    assert not asked and numbers.shortage() is None
    numbers.give()
    numbers.give()
    assert asked and numbers.shortage() == 2 * BLOCK
    numbers.reserved(2 * BLOCK)
    assert numbers.shortage() is None
