"""What people said of the pictures in a folder: one JSON line an answer, appended and synced, the last one counts."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from edgetl.errors import UsageError, storage
from edgetl.runtime.timestamp import utc_now

NAME = "labels.jsonl"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer about one picture. No `label` and not `unusable`: the picture is open again."""

    picture: str
    label: str | None = None
    unusable: bool = False
    time: str = ""


class Labels:
    """The answers of one folder. A line that a power cut left half-written is passed over."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._answers: dict[str, Answer] = {}
        if self._path.is_file():
            for line in self._path.read_bytes().splitlines():
                try:
                    answer = msgspec.json.decode(line, type=Answer)
                except msgspec.DecodeError:
                    continue
                self._answers[answer.picture] = answer

    def of(self, picture: str) -> Answer | None:
        """The answer that counts, if there is one."""
        answer = self._answers.get(picture)
        return answer if answer is not None and (answer.label is not None or answer.unusable) else None

    def give(self, picture: str, label: str | None, *, unusable: bool = False) -> Answer:
        """Takes down an answer; it is on the disk when this returns. Raises StorageError."""
        if label is not None and (not label.strip() or label.startswith(".") or "/" in label or "\0" in label):
            raise UsageError(f"{label!r} cannot be the name of a class")
        now = utc_now()
        answer = Answer(picture=picture, label=label, unusable=unusable, time=now)
        with storage(self._path), self._path.open("ab") as file:
            # The newline before ends a line that a power cut left half-written.
            file.write(b"\n" + msgspec.json.encode(answer) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._answers[picture] = answer
        return answer
