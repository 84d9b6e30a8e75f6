"""What has to go when the bounds are reached. Pure: bytes and order decide, never a clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from edgetl.runtime.spool.rows import GAP

SLACK = 0.1  # share of the bound that is freed at once, so that a full spool makes few gaps instead of one a result


class Candidate(msgspec.Struct, frozen=True):
    """A row that could be dropped, without its payload."""

    position: int
    sequence: int
    kind: str
    size: int


class Loss(msgspec.Struct, frozen=True):
    """A range of sequence numbers of which `lost` results are gone."""

    first: int
    last: int
    lost: int | None


def excess(held: int, arriving: int, bound: int) -> int:
    """Bytes that must be dropped before `arriving` more may be kept; 0 while there is room."""
    over = held + arriving - bound
    return over + int(bound * SLACK) if over > 0 else 0


RANKS = (0, 1, 2)


def rank(kind: str) -> int:
    """What goes first: a good part says least, a gap stands for many."""
    return {"OK": 0, GAP: 2}.get(kind, 1)


def choose(candidates: Iterable[Candidate], excess_bytes: int) -> list[Candidate]:
    """The first of `candidates`, which come in the order of `rank` and age, that free `excess_bytes` together."""
    chosen: list[Candidate] = []
    for candidate in candidates:
        if excess_bytes <= 0:
            break
        chosen.append(candidate)
        excess_bytes -= candidate.size
    return chosen


def in_order(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Candidates, given by age, in the order in which they would be dropped."""
    for level in RANKS:
        yield from (c for c in candidates if rank(c.kind) == level)


def loss_of(dropped: Sequence[Candidate], ranges: Sequence[Loss] = ()) -> Loss | None:
    """One range for everything that was dropped; `ranges` are those of which dropped gaps spoke."""
    return union([*(Loss(c.sequence, c.sequence, 1) for c in dropped if c.kind != GAP), *ranges])


def union(losses: Sequence[Loss]) -> Loss | None:
    """One range that covers all; None for none."""
    if not losses:
        return None
    counts = [loss.lost for loss in losses]
    lost = None if None in counts else sum(count or 0 for count in counts)
    return Loss(min(loss.first for loss in losses), max(loss.last for loss in losses), lost)


def lagging(cursors: Mapping[str, int], position: int) -> tuple[str, ...]:
    """The outputs that had not acknowledged everything up to `position`."""
    return tuple(sorted(name for name, acknowledged in cursors.items() if acknowledged < position))


def settled(cursors: Mapping[str, int]) -> int:
    """The position up to which every output has acknowledged; those rows may be forgotten."""
    return min(cursors.values(), default=0)
