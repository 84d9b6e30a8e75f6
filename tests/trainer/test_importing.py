from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from edgetl.trainer.importing import lasting


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_looked_for_again_afterwards_where_it_was_before(collecting: bool) -> None:
    (gc.enable if collecting else gc.disable)()
    try:
        with pytest.raises(ImportError), lasting():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() is collecting
    finally:
        gc.enable()


def test_what_was_made_meanwhile_is_not_looked_through_again() -> None:
    before = gc.get_freeze_count()
    with lasting():
        made = [[i] for i in range(1000)]
    assert gc.get_freeze_count() >= before + len(made)
