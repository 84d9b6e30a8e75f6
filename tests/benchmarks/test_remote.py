"""`edgetl bench --on` over a real SSH server: the device measures itself, and the report comes back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.calling import Answer, call, refused
from tests.flasher.sshd import Sshd, serving
from tests.runtime import tiny


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    with serving(folder, tmp_path) as found:
        yield found


def device(server: Sshd, folder: Path, words: str = f"{sys.executable} -m edgetl") -> list[object]:
    """Options that lead to a device whose temporary files lie in a folder of their own."""
    agent, temporary = folder / "device-edgetl", folder / "device-tmp"
    temporary.mkdir(exist_ok=True)
    agent.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\nexec {words} "$@"\n')
    agent.chmod(0o755)
    return ["--on", "device", "--agent", agent, "--ssh-config", server.config]


def bench(bundle: Path, *options: object) -> Answer:
    return call("bench", bundle, "--quick", *options, "--json")


def test_device_measures_itself_and_every_timing_comes_back(server: Sshd, tmp_path: Path) -> None:
    bundle, out = tiny.write(tmp_path / "my part.edgetl"), tmp_path / "kept" / "report.json"
    done = bench(bundle, *device(server, tmp_path), "--budget-ms", 0.0001, "--out", out)
    found = json.loads(done.out)
    assert found["bundle"] == f"{bundle} on device" and found["quick"] is True
    assert found["judgement"]["result"] in ("FAIL", "INVALID") and done.code == 1  # no frame is that fast
    assert json.loads(out.read_text()) == found
    with np.load(out.with_suffix(".npz")) as samples:
        assert len(samples["end_to_end"]) >= 20
    asked = (tmp_path / "asked").read_text().split()
    carried = Path(" ".join(asked[1 : asked.index("--json")]))
    assert asked[0] == "bench" and carried.name == "my part.edgetl" and "--quick" in asked
    assert not carried.parent.exists()  # nothing stays there


def test_what_the_device_says_is_told_with_its_name(server: Sshd, tmp_path: Path) -> None:
    bundle = tiny.write(tmp_path / "part.edgetl")
    options = device(server, tmp_path, "sh -c 'echo edgetl: E_MODEL: no int8 model >&2; exit 1'")
    refused(bench(bundle, *options), 1, "E_FAILED", "device: E_MODEL: no int8 model")
    options = device(server, tmp_path, "sh -c 'echo \"{}\"'")
    refused(bench(bundle, *options), 1, "E_FAILED", "device", "another version")
    options = device(server, tmp_path)
    options[options.index("--agent") + 1] = tmp_path / "none"
    refused(bench(bundle, *options), 1, "E_TRANSPORT", "edgetl device init device")


def test_nothing_is_carried_that_could_not_be_measured(tmp_path: Path) -> None:
    (tmp_path / "junk.edgetl").write_bytes(b"junk")
    refused(bench(tmp_path / "junk.edgetl", "--on", "nowhere.invalid"), 1, "E_FORMAT", "junk.edgetl")
    bundle = tiny.write(tmp_path / "part.edgetl")
    refused(bench(bundle, "--on", "nowhere.invalid", "--data", tmp_path), 2, "E_USAGE", "--data stays here")
    refused(bench(bundle, "--on", "-oProxyCommand=x"), 2, "E_USAGE", "not a host")
