"""`edgetl pull` against a device root on this machine, through the device's own command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgetl.flasher.pull import _plain
from edgetl.runtime.collect import read_collected
from edgetl.runtime.collect.carry import batch
from edgetl.runtime.flashing.layout import DeviceRoot
from tests.cli.calling import call, refused
from tests.trainer.review.collected import fill


@pytest.fixture
def root(tmp_path: Path) -> DeviceRoot:
    """A device that kept five pictures."""
    device = DeviceRoot(tmp_path / "device")
    device.prepare()
    fill(device.collected, [(seed, "NG", 0.9) for seed in range(5)])
    return device


def pulled(root: DeviceRoot, out: Path) -> dict[str, Any]:
    done = call("pull", f"local:{root.path}", "--out", out, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_everything_comes_once(root: DeviceRoot, tmp_path: Path) -> None:
    out = tmp_path / "kept"
    assert pulled(root, out) == {"kept": 5, "here": 0, "fetched": 5, "missed": 0}
    assert read_collected(out) == read_collected(root.collected)
    for record in read_collected(out):
        assert (out / record.picture).read_bytes() == (root.collected / record.picture).read_bytes()
    fill(root.collected, [(seed, "NG", 0.9) for seed in range(5, 7)])
    assert pulled(root, out) == {"kept": 7, "here": 5, "fetched": 2, "missed": 0}


def test_a_picture_that_was_damaged_here_is_fetched_again(root: DeviceRoot, tmp_path: Path) -> None:
    out = tmp_path / "kept"
    pulled(root, out)
    first = read_collected(out)[0]
    (out / first.picture).unlink()
    assert pulled(root, out)["fetched"] == 1


def test_a_picture_that_is_not_what_its_record_says_stays_there(root: DeviceRoot, tmp_path: Path) -> None:
    bad = read_collected(root.collected)[2]
    (root.collected / bad.picture).write_bytes(b"other bytes")
    assert pulled(root, tmp_path / "kept") == {"kept": 5, "here": 0, "fetched": 4, "missed": 1}
    assert bad.picture not in {r.picture for r in read_collected(tmp_path / "kept")}


def test_a_batch_is_bounded_and_holds_at_least_one(root: DeviceRoot) -> None:
    names = [r.picture for r in read_collected(root.collected)]
    size = read_collected(root.collected)[0].size_bytes
    assert [len(batch(root.collected, names, limit)) for limit in (1, int(2.5 * size), 100 * size)] == [1, 2, 5]
    assert batch(root.collected, ["../../etc/passwd", "none.png"]) == []


def test_a_device_that_collects_elsewhere_or_nothing_says_so(root: DeviceRoot, tmp_path: Path) -> None:
    bare = DeviceRoot(tmp_path / "bare")
    bare.prepare()
    refused(
        call("pull", f"local:{bare.path}", "--out", tmp_path / "x"), 2, "E_USAGE", "nothing is collected", "--folder"
    )


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/b.png", ".hidden.png", "", "a\0.png"])
def test_a_device_decides_no_path_here(name: str) -> None:
    assert not _plain(name)
