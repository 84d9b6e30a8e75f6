"""The words of a line's settings."""

from __future__ import annotations

from enum import Enum


class Direction(Enum):
    """Which way."""

    OUTPUT = 1


class Value(Enum):
    """Whether it is active."""

    INACTIVE = 0
    ACTIVE = 1
