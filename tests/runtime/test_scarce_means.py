"""No threads, processes or descriptors left: a reason, and no silent end."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from tests.runtime import tiny, videos
from tests.runtime.capture import cameras
from tests.runtime.capture.cameras import fault, good, running, until

PIDS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))  # of the first and the second kind of control groups


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of its own, in which threads can be limited."""
    for root in PIDS:
        folder = root / f"edgetl-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / "pids.max").exists():
            yield folder
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("needs root and control groups that limit threads (pids)")


@pytest.mark.fault("W4")
@pytest.mark.parametrize("limit", [2, 3, 4])
def test_without_threads_left_a_run_ends_with_the_reason(group: Path, tmp_path: Path, limit: int) -> None:
    """Wherever the limit strikes: at the interpreter's, the capture's or the preparation's thread."""
    bundle, video = tiny.write(tmp_path / "t.edgetl"), videos.write(tmp_path / "v.avi")
    (group / "pids.max").write_text(str(limit))
    command = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    words = [sys.executable, "-m", "edgetl", "run", str(bundle), "--source", str(video)]
    words += ["--interpreter", "litert", "--threads", "1"]
    done = subprocess.run(["sh", "-c", command, "sh", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("edgetl: E_LIMIT: no threads are left")
    assert "Traceback" not in done.stderr


@pytest.mark.fault("W4")
def test_camera_that_cannot_be_started_anew_for_want_of_descriptors_is_a_fault_that_says_so() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running(cameras.mjpeg) as (port, _):
        camera = Camera(f"http://127.0.0.1:{port}/", CameraConfig(open_timeout_s=2, frame_timeout_s=1))
        try:
            until(camera, good)
            (child,) = [
                int(pid)
                for task in Path("/proc/self/task").iterdir()
                for pid in (task / "children").read_text().split()
                if b"capture.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            os.kill(child, signal.SIGKILL)
            told = until(camera, lambda frame: "cannot be started" in str(frame.fault))
            assert "Too many open files" in str(told.fault)
            before_s = time.monotonic()
            assert all(fault(until(camera, fault)) for _ in range(2))
            assert time.monotonic() - before_s > 1.0, "it does not spin"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            camera.close()
