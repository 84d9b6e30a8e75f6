"""Protocol Buffers messages, field by field (https://protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edgetl.errors import ModelError

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}  # bytes of the two fixed-size wire types


class Field(NamedTuple):
    """One field: its number and wire type, where its content lies, and its value if it is a varint."""

    number: int
    wire: int
    start: int
    end: int
    value: int


class Message:
    """One message, `data` from `start` to `end`. Raises ModelError where it contradicts itself."""

    def __init__(self, data: bytes, where: str, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._where = where
        self._start = start
        self._end = len(data) if end is None else end
        self._found: dict[int, list[Field]] | None = None

    def fields(self, number: int) -> list[Field]:
        """The fields of one number, in the order of the file."""
        if self._found is None:
            self._found = self._read()
        return self._found.get(number, [])

    def _read(self) -> dict[int, list[Field]]:
        found: dict[int, list[Field]] = {}
        at = self._start
        while at < self._end:
            field = self._field(at)
            at = field.end
            found.setdefault(field.number, []).append(field)
        return found

    def _field(self, at: int) -> Field:
        tag, start = self._varint(at)
        wire, value, end = tag & 7, 0, 0
        if wire == _VARINT:
            value, end = self._varint(start)
        elif wire == _BYTES:
            length, start = self._varint(start)
            end = start + length
        elif wire in _FIXED:
            end = start + _FIXED[wire]
        else:
            raise ModelError(f"{self._where}: damaged: a field of unknown wire type {wire}")
        if end > self._end:
            raise ModelError(f"{self._where}: damaged: a field ends at byte {end}, its message at {self._end}")
        return Field(tag >> 3, wire, start, end, value)

    def messages(self, number: int) -> Iterator[Message]:
        """The messages in the fields of that number."""
        for field in self.fields(number):
            yield Message(self._data, self._where, field.start, field.end)

    def contents(self, number: int) -> list[bytes]:
        """The bytes in the fields of that number."""
        return [self._data[field.start : field.end] for field in self.fields(number)]

    def texts(self, number: int) -> tuple[str, ...]:
        """The strings of a repeated field; bytes that are not UTF-8 are shown escaped."""
        return tuple(content.decode("utf-8", "backslashreplace") for content in self.contents(number))

    def text(self, number: int) -> str:
        """A string field."""
        return (self.texts(number) or ("",))[-1]

    def integers(self, number: int) -> tuple[int, ...]:
        """A repeated integer of 64 bits, packed or not."""
        found: list[int] = []
        for field in self.fields(number):
            found += [field.value] if field.wire == _VARINT else self._packed(field)
        return tuple(value - (1 << 64) if value >> 63 else value for value in found)

    def integer(self, number: int) -> int:
        """An integer field; 0 where it is absent."""
        return (self.integers(number) or (0,))[-1]

    def _packed(self, field: Field) -> list[int]:
        found, at = [], field.start
        while at < field.end:
            value, at = self._varint(at)
            found.append(value)
        return found

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):  # 64 bits at most
            if at >= self._end:
                raise ModelError(f"{self._where}: damaged: it ends within a number")
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise ModelError(f"{self._where}: damaged: a number without end at byte {at}")
