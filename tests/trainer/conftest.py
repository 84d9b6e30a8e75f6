"""Fixtures of the trainer's tests."""

from __future__ import annotations

from tests.runtime.conftest import full_disk

__all__ = ["full_disk"]
