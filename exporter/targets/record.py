"""The devices that an export can be checked for, from targets.yaml."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import yaml

from edgetl.errors import UsageError
from edgetl.runtime.manifest import ModelFormat, Precision

ANY_DEVICE = "generic-arm64"  # what no target is named for must at least run in LiteRT


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What runs models of one format, and files of which precisions at all; in floats it takes `in_float` besides.
    `splits_once`: from the first operator it does not take, none runs on it. `symmetric`: it takes zero points of 0 only,
    as TensorRT does. `frames`: pixels may go into the first convolution as they are, with a constant frame around them."""

    format: ModelFormat
    operators: frozenset[str]
    known: frozenset[str]
    precisions: frozenset[Precision]
    rest: str
    in_float: frozenset[str] = frozenset()
    splits_once: bool = False
    symmetric: bool = False
    frames: bool = True


class Target(msgspec.Struct, frozen=True):
    """A device by name, with its engine."""

    name: str
    title: str
    engine: Engine


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((files("edgetl.exporter.targets") / "targets.yaml").read_text())
    return table


def target_names() -> tuple[str, ...]:
    """The names that `--target` takes."""
    return tuple(_table()["targets"])


def load_target(name: str) -> Target:
    """The target of that name. Raises UsageError."""
    found = _table()["targets"].get(name)
    if found is None:
        raise UsageError(f"unknown target {name!r}; choose from {', '.join(target_names())}")
    return Target(name, found["title"], load_engine(found["engine"]))


def load_engine(name: str) -> Engine:
    """One engine of the table."""
    row = _table()["engines"][name]
    lists = {key: frozenset(row[key].split()) for key in ("operators", "known", "precisions", "in_float") if key in row}
    return msgspec.convert({**row, **lists}, Engine)


def in_fast_kernels(precision: Precision) -> bool:
    """Whether LiteRT's fast kernels compute in that precision on a CPU, where all runs that no accelerator takes."""
    return precision in load_target(ANY_DEVICE).engine.precisions
