"""FlatBuffers tables, read with every offset checked (https://flatbuffers.dev/internals)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError

_READS_PER_BYTE = 16  # a sound file is read about once; overlapping tables could be read without end


class FlatBuffer:
    """The bytes of one file. Raises ModelError where they contradict themselves."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self._left = _READS_PER_BYTE * len(data) + 1024

    def root(self) -> Table:
        """The table at the root."""
        return Table(self, self.integer(0, "I"))

    def integer(self, position: int, format: str) -> int:
        """One little-endian integer (a letter of the struct module)."""
        value: int = struct.unpack_from("<" + format, self.data, self.span(position, struct.calcsize(format)))[0]
        return value

    def span(self, position: int, size: int) -> int:
        """`position`, if `size` bytes from there lie in the file."""
        self._left -= size
        if position < 0 or size < 0 or position + size > len(self.data) or self._left < 0:
            raise ModelError(f"{self.where}: damaged: {size} bytes at {position} of a file of {len(self.data)}")
        return position


class Table:
    """One table: its fields are found by number through its vtable; an absent one has its default."""

    def __init__(self, buffer: FlatBuffer, position: int) -> None:
        self._buffer = buffer
        self._position = position
        self._vtable = position - buffer.integer(position, "i")
        self._fields = (buffer.integer(self._vtable, "H") - 4) // 2

    def _field(self, number: int) -> int | None:
        if number >= self._fields:
            return None
        offset = self._buffer.integer(self._vtable + 4 + 2 * number, "H")
        return self._position + offset if offset else None

    def _target(self, number: int) -> int | None:
        at = self._field(number)
        return None if at is None else at + self._buffer.integer(at, "I")

    def integer(self, number: int, format: str, default: int = 0) -> int:
        """A scalar field."""
        at = self._field(number)
        return default if at is None else self._buffer.integer(at, format)

    def table(self, number: int) -> Table | None:
        """A table field."""
        at = self._target(number)
        return None if at is None else Table(self._buffer, at)

    def tables(self, number: int) -> Iterator[Table]:
        """The tables of a vector field."""
        at = self._target(number)
        if at is None:
            return
        for index in range(self._buffer.integer(at, "I")):
            element = at + 4 + 4 * index
            yield Table(self._buffer, element + self._buffer.integer(element, "I"))

    def numbers(self, number: int, dtype: str) -> NDArray[np.generic]:
        """A vector of numbers, of a numpy type such as `<i4`."""
        at = self._target(number)
        if at is None:
            return np.zeros(0, dtype)
        count = self._buffer.integer(at, "I")
        start = self._buffer.span(at + 4, count * np.dtype(dtype).itemsize)
        return np.frombuffer(self._buffer.data, dtype, count, start)

    def length(self, number: int) -> int:
        """How many elements a vector field has."""
        at = self._target(number)
        return 0 if at is None else self._buffer.integer(at, "I")

    def text(self, number: int) -> str:
        """A string field; bytes that are not UTF-8 are shown escaped."""
        return self.numbers(number, "u1").tobytes().decode("utf-8", "backslashreplace")
