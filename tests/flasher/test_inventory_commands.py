"""Status and the way back for the hosts and groups of an inventory, as for a flash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetl.runtime.flashing.layout import DeviceRoot
from tests.cli.calling import call, refused
from tests.flasher.fleet.site import site
from tests.runtime.flashing.world import tiny_release


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    """The inventory of two devices that run release 2 and have release 1 in the other slot."""
    inventory = site(tmp_path, 2)
    for number in (1, 2):
        path = tiny_release(tmp_path / "x.edgetl", f"r{number}", number)
        assert call("flash", path, "--to", "hall", "--inventory", inventory).code == 0
    return inventory


def test_one_after_the_other(hall: Path, tmp_path: Path) -> None:
    answer = call("device", "status", "hall", "--inventory", hall)
    assert answer.code == 0 and answer.out.count("* slot b: r2, release 2") == 2
    assert [f"local:{tmp_path / name}: device" in answer.out for name in ("line-0", "line-1")] == [True, True]
    told = [
        json.loads(line) for line in call("device", "status", "hall", "--inventory", hall, "--json").out.splitlines()
    ]
    assert [(t["host"], t["status"]["current"]) for t in told] == [(f"local:{tmp_path}/line-{n}", "b") for n in (0, 1)]
    assert call("rollback", "line-1", "--inventory", hall).out.endswith("runs r1, release 1, again\n")
    assert [DeviceRoot(tmp_path / f"line-{n}").pointed() for n in (0, 1)] == ["b", "a"]
    told = [json.loads(line) for line in call("rollback", "hall", "--inventory", hall, "--json").out.splitlines()]
    assert [t["release"]["name"] for t in told] == ["r1", "r2"]


def test_one_that_fails_does_not_keep_it_from_the_rest(hall: Path, tmp_path: Path) -> None:
    DeviceRoot(tmp_path / "line-0").bundle("a").write_bytes(b"rubbish")
    answer = call("rollback", "hall", "--inventory", hall)
    refused(answer, 1, "E_FLASH", "1 of 2 devices failed: local:", "line-0")
    assert "cannot go back to slot a: its bundle is damaged" in answer.err
    assert [DeviceRoot(tmp_path / f"line-{n}").pointed() for n in (0, 1)] == ["b", "a"]


@pytest.mark.parametrize("command", [("device", "status"), ("rollback",), ("device", "doctor")])
def test_name_that_is_not_in_it(hall: Path, command: tuple[str, ...]) -> None:
    refused(call(*command, "attic", "--inventory", hall), 2, "E_USAGE", "no group and no host 'attic'", "hall")
