"""Fixtures of the trainer's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime.conftest import full_disk

__all__ = ["full_disk"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets of 32 px gain nothing from more threads, and on a busy machine these wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
