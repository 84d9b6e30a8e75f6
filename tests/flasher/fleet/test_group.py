"""A release on a group of devices: the real command, real device roots, and Ansible on top of the same."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import edgetl
from tests.flasher.fleet.collection import installed_in, play
from tests.flasher.fleet.site import running, site
from tests.runtime import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("bundle") / "part.edgetl")


@pytest.mark.fault("F22")
def test_one_of_ten_that_fails_ends_it_and_is_named(bundle: Path, tmp_path: Path) -> None:
    inventory = site(tmp_path, 10, broken=(2,))
    done = edgetl("flash", bundle, "--to", "hall", "--inventory", inventory, "--json", timeout=280)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [host["state"] for host in told["hosts"]] == ["flashed"] * 2 + ["failed", "flashed"] + ["not tried"] * 6
    assert "E_HEALTH" in told["hosts"][2]["reason"]
    assert "1 of 10 failed, 6 not tried" in done.stderr.splitlines()[-1]
    assert running(tmp_path, 10) == [True, True, False, True] + [False] * 6


def test_a_host_of_the_inventory_is_flashed_alone(bundle: Path, tmp_path: Path) -> None:
    inventory = site(tmp_path, 2)
    done = edgetl("flash", bundle, "--to", "line-1", "--inventory", inventory)
    assert (done.returncode, done.stdout) == (0, "line-1: flashed\n"), done.stderr
    assert running(tmp_path, 2) == [False, True]


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    return installed_in(tmp_path)


def rollout(
    collections: Path, inventory: Path, bundle: object, *more: str, **variables: object
) -> subprocess.CompletedProcess[str]:
    told = {"edgetl_bundle": str(bundle), **variables}
    return play("edgetl.devices.rollout", collections, inventory, told, *more)


def test_ansible_brings_it_to_all_in_waves_and_the_second_time_changes_nothing(
    bundle: Path, tmp_path: Path, collections: Path
) -> None:
    inventory = site(tmp_path, 4)
    first = rollout(collections, inventory, bundle)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count("PLAY [") == 3  # one canary, one of four, the other two
    assert running(tmp_path, 4) == [True] * 4
    again = rollout(collections, inventory, bundle)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("changed=0") == 4


@pytest.mark.fault("F22")
def test_ansible_stops_at_a_canary_that_fails(bundle: Path, tmp_path: Path, collections: Path) -> None:
    inventory = site(tmp_path, 4, broken=(0,))
    done = rollout(collections, inventory, bundle)
    assert done.returncode != 0
    assert "E_HEALTH" in done.stdout
    assert running(tmp_path, 4) == [False] * 4


def test_a_command_that_says_nothing_but_an_error_is_quoted_by_ansible(tmp_path: Path, collections: Path) -> None:
    inventory = site(tmp_path, 1)
    done = rollout(collections, inventory, tmp_path / "absent.edgetl")
    assert done.returncode != 0
    assert "absent.edgetl" in done.stdout and "edgetl: E_" in done.stdout
    assert "from_json" not in done.stdout
