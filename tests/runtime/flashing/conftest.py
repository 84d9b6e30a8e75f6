"""Fixtures of the flashing tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.runtime.flashing.world import Keys, StillClock, root

__all__ = ["root"]


@pytest.fixture
def clock() -> StillClock:
    """A clock that goes only when told."""
    return StillClock()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """SSH keys; skips without OpenSSH."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen: make system")
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that nobody signed."""
    from tests.runtime import tiny

    return tiny.write(tmp_path_factory.mktemp("unsigned") / "plain.edgetl")
