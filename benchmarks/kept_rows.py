"""Rows of a measurement that takes hours, kept one by one, so that one that was cut short goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from edgetl.benchmarks.machine import machine
from edgetl.errors import UsageError
from edgetl.runtime.files import write_file

R = TypeVar("R")


class KeptRows(Generic[R]):
    """The rows in `record`, a JSON file; `table` writes them as Markdown beside it. `plan`: what all rows must have in common, such
    as a picture size. `told`: what else stands in the record, to be added to.

    A row with an `error` is forgotten when the record is opened again, so that it is measured anew. Raises UsageError for a
    file that is no such record, or whose rows are of another plan.
    """

    def __init__(
        self,
        record: Path,
        kind: type[R],
        table: Callable[[list[R]], str] | None = None,
        *,
        plan: Mapping[str, object] | None = None,
    ) -> None:
        self.record, self.table = record, table
        try:
            known = json.loads(record.read_text()) if record.is_file() else {"rows": []}
            self.rows = [msgspec.convert(row, kind) for row in known.pop("rows") if "error" not in row]
            self.seconds = float(known.pop("seconds", 0.0))
        except (ValueError, AttributeError, LookupError, TypeError) as error:  # msgspec's are ValueErrors
            raise UsageError(f"{record}: no rows of this measurement ({error})") from error
        self.told: dict[str, Any] = known
        self._follow(plan or {})

    def _follow(self, plan: Mapping[str, object]) -> None:
        for name, value in plan.items():
            if self.rows and self.told.get(name) != value:
                raise UsageError(
                    f"{self.record} holds rows of {name} {self.told.get(name)}, not {value}; choose another OUT"
                )
        self.told |= plan

    @contextlib.contextmanager
    def timed(self) -> Iterator[list[R]]:
        """The rows, for some to be added; then they are written, with the time that took."""
        began = time.monotonic()
        yield self.rows
        self.seconds += time.monotonic() - began
        self.keep()

    def keep(self) -> None:
        """Writes the record and the table."""
        self.record.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.record, json.dumps(self.account(), indent=1) + "\n")
        if self.table is not None:
            write_file(self.record.with_suffix(".md"), self.table(self.rows))

    def account(self) -> dict[str, Any]:
        """What the record holds."""
        rows = msgspec.to_builtins(self.rows)
        return {**self.told, "machine": machine(), "rows": rows, "seconds": round(self.seconds, 1)}
