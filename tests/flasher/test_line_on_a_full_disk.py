"""A disk that fills up at a step of a flash, under a line that inspects: what is refused leaves the old release running."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.pulse import read_pulse
from tests.cli.calling import Answer, call, refused
from tests.flasher.line import LiveLine
from tests.flasher.sshd import Sshd, serving
from tests.runtime.flashing.world import announce, small_device, tiny_release

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

PATIENT = {"stall_s": 20, "takeover_s": 60, "trial_s": 1.5, "defer_s": 10, "rehearsal_s": 20}


class Small(NamedTuple):
    """A device on a disk of 64 KB whose line inspects with release 1, and the server that leads to it."""

    root: DeviceRoot
    line: LiveLine
    server: Sshd
    ballast: Path

    def fills_up_at(self, step: str) -> None:
        """Has every free byte taken at the moment when the device is asked for this step."""
        program = self.server.agent.read_text().splitlines()[-1]
        fill = f'if [ "$2" = "{step}" ]; then cat /dev/zero >>{self.ballast} 2>/dev/null; fi'
        self.server.agent.write_text(f"#!/bin/sh\n{fill}\n{program}\n")

    def ask(self, *command: object) -> Answer:
        return call(*command, *self.server.options)


@pytest.fixture
def small(full_disk: Path, tmp_path: Path) -> Iterator[Small]:
    with tempfile.TemporaryDirectory() as memory:
        root = small_device(full_disk, Path(memory), **PATIENT)
        assert call("flash", tiny_release(tmp_path / "old.edgetl", "old", 1), "--to", f"local:{root.path}").code == 0
        line = LiveLine(root, tmp_path)
        (tmp_path / "ssh").mkdir()
        line.start()
        try:
            with serving(tmp_path / "ssh", root.path) as server:
                yield Small(root, line, server, full_disk / "ballast")
        finally:
            line.stop()


@pytest.mark.fault("F6")
@pytest.mark.parametrize(("step", "words"), [("begin", "needs"), ("receive", "the disk is full")])
def test_before_the_release_is_there_it_is_refused_and_succeeds_once_there_is_room(
    small: Small, tmp_path: Path, step: str, words: str
) -> None:
    release = tiny_release(tmp_path / "new.edgetl", "new", 2)
    before, held = read_pulse(small.root), small.root.bundle("a").read_bytes()
    small.fills_up_at(step)
    refused(small.ask("flash", release, "--to", "device"), 1, "E_STORAGE", words)
    assert before is not None and before.sha256 is not None
    small.line.judges_with(before.sha256)
    after = read_pulse(small.root)
    assert after is not None and after.pid == before.pid
    assert (small.root.bundle("a").read_bytes(), small.root.pointed()) == (held, "a")

    small.ballast.unlink()
    small.fills_up_at("no step")
    assert small.ask("flash", release, "--to", "device").code == 0
    small.line.judges_with(announce(release).sha256)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("step", ["rehearse", "activate"])
def test_afterwards_it_is_finished_with_the_room_that_was_put_by_for_it(
    small: Small, tmp_path: Path, step: str
) -> None:
    release = tiny_release(tmp_path / "new.edgetl", "new", 2)
    old = announce(tmp_path / "old.edgetl").sha256
    small.fills_up_at(step)
    done = small.ask("flash", release, "--to", "device")
    assert done.code == 0, done.err
    small.line.judges_with(announce(release).sha256)
    back = small.ask("rollback", "device")
    assert back.code == 0, back.err
    small.line.judges_with(old)
