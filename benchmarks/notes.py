"""What a user should know of a machine and of the figures beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

_HARDLY = 0.9  # more threads that leave more than this share of one thread's time do not help


class Pace(Protocol):
    """How long one file took in one interpreter with one number of threads."""

    @property
    def interpreter(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def p50_ms(self) -> float: ...


def notes_on(rows: Sequence[Pace], where: Mapping[str, str]) -> list[str]:
    """A slower int8, threads that do not help, instructions that are missing."""
    notes = []
    for name in dict.fromkeys(row.interpreter for row in rows):
        times = {(r.precision != "float32", r.threads): r.p50_ms for r in rows if r.interpreter == name}
        if (True, 1) in times and (False, 1) in times and times[True, 1] > times[False, 1]:
            notes.append(f"int8 is slower than float in {name} here")
        most = max((threads for int8, threads in times if int8), default=1)
        if most > 1 and times[True, most] > _HARDLY * times.get((True, 1), 0.0):
            notes.append(f"{most} threads are hardly faster than one in {name}")
    if where["architecture"] == "x86_64" and "vnni" not in where["int8_instructions"]:
        notes.append("the processor lacks VNNI: int8 is not much faster than float, and signed kernels may saturate")
    if where["architecture"] == "aarch64" and "asimddp" not in where["int8_instructions"]:
        notes.append("the processor lacks dot-product instructions: int8 runs at about half the speed of newer boards")
    return notes
