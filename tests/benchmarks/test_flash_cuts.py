"""Cut at its durable calls, a flash leaves the old or the new release; the whole table takes an hour, this a part of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgetl.benchmarks.flash_cuts.cutting import cut_state, cuts_of
from edgetl.benchmarks.flash_cuts.places import Place, PowerlessPlace
from edgetl.benchmarks.flash_cuts.releases import Releases, signed
from edgetl.benchmarks.flash_cuts.states import states
from edgetl.errors import UsageError
from tests.runtime.flashing.world import tiny_release

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: make system"),
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen: make system"),
]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    folder = tmp_path_factory.mktemp("releases")
    old, new = (tiny_release(folder / f"{name}.edgetl", name) for name in ("old", "new"))
    return signed(old, new, folder)


def cut(place: Place, releases: Releases, name: str, *calls: str) -> dict[str, int]:
    """Cuts the step of one state at its calls of those kinds."""
    (state,) = [state for state in states(releases) if state.name == name]
    found = cut_state(state, place, releases, calls)
    assert (found["neither"], found["stuck"]) == (0, 0), found
    assert found["missed"] <= found["cuts"] / 4, found
    return found


@pytest.mark.fault("F1")
def test_killed_at_every_rename_and_sync_of_the_swap(tmp_path: Path, releases: Releases) -> None:
    found = cut(Place(tmp_path), releases, "activate", "rename", "fsync")
    assert found["cuts"] >= 4 and found["safe mode"] == 0
    assert found["old"] > 0 and found["new"] > 0


@pytest.mark.fault("F1", "F12")
def test_killed_at_every_rename_and_symlink_of_the_way_back_from_a_trial(tmp_path: Path, releases: Releases) -> None:
    found = cut(Place(tmp_path), releases, "activate, taken back", "rename", "symlink")
    assert found["cuts"] >= 3 and found["safe mode"] == 0


@pytest.mark.fault("F14")
def test_killed_at_every_rename_and_symlink_of_a_rollback(tmp_path: Path, releases: Releases) -> None:
    found = cut(Place(tmp_path), releases, "rollback", "rename", "symlink")
    assert found["cuts"] >= 2 and found["safe mode"] == 0


@pytest.mark.fault("F1", "F12")
def test_killed_at_every_rename_and_symlink_of_a_start_after_a_crash(tmp_path: Path, releases: Releases) -> None:
    found = cut(Place(tmp_path), releases, "start after a crash on trial", "rename", "symlink", "write")
    assert found["cuts"] >= 4 and found["safe mode"] == 0


@pytest.mark.fault("F2")
def test_power_cut_at_every_rename_and_symlink_of_the_swap(tmp_path: Path, releases: Releases) -> None:
    try:
        place = PowerlessPlace(tmp_path)
    except (UsageError, FileNotFoundError) as error:
        pytest.skip(f"needs the right to mount an ext4 image: {error}")
    try:
        found = cut(place, releases, "activate", "rename", "symlink", "unlink")
    finally:
        place.close()
    assert found["cuts"] >= 3 and found["safe mode"] == 0


def test_files_that_are_made_are_cuts_and_those_that_are_read_are_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '10 openat(AT_FDCWD, "/lib/x.py", O_RDONLY) = 3\n'
        '10 openat(AT_FDCWD, "/root/journal", O_RDWR|O_CREAT, 0644) = 4\n'
        '11 openat(AT_FDCWD, "/tmp/x", O_RDWR|O_CREAT, 0644) = 4\n'
        "10 fsync(4) = 0\n10 fsync(4) = 0\n11 fsync(4) = 0\n"
    )
    assert cuts_of(log, Path("/root")) == [("fsync", 1), ("fsync", 2), ("openat", 2)]
