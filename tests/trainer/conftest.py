"""Fixtures of the trainer's tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(scope="session")
def few_pictures(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the drawn classes, eight pictures each, in an unsplit folder."""
    folder = tmp_path_factory.mktemp("few") / "parts"
    for label in ("ok", "stain"):
        for path in sorted((small_data / "train" / label).iterdir())[:8]:
            (folder / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / label)
    return folder
