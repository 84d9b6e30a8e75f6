"""Loads a new model for the first time, in a child process with limits: whatever it does, the device's side lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO

import msgspec

from edgetl.errors import HealthError, error_of
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.flashing.records import Installed
from edgetl.runtime.flashing.requirements import Rehearsal


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to find out. `fd`: the open bundle, which it inherits; `name`: what to call it in messages."""

    fd: int
    name: str
    manifest_sha256: str
    interpreter: str | None
    threads: int | None
    camera: str | None
    memory_mb: int
    cpu_s: int


class Reply(msgspec.Struct, frozen=True):
    """What the child found, or the code and message of the error that stopped it."""

    rehearsal: Rehearsal | None = None
    code: str = ""
    message: str = ""


def rehearse(file: IO[bytes], release: Installed, config: DeviceConfig, camera: str | None) -> Rehearsal:
    """Replays the golden set of a release's open file and times it, in a child. `camera`: a source to take a frame of.

    Raises HealthError if the child crashed, hung or ran out of memory, or the EdgetlError that it met.
    """
    flashing = config.flashing
    question = Question(
        fd=file.fileno(), name=release.name, manifest_sha256=release.manifest_sha256, interpreter=config.interpreter,
        threads=config.threads, camera=camera, memory_mb=flashing.rehearsal_memory_mb,
        cpu_s=int(flashing.rehearsal_s) + 1,
    )  # fmt: skip
    code, out = _child(question, flashing.rehearsal_s)
    try:
        reply = msgspec.json.decode(out.splitlines()[-1] if out else b"", type=Reply)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise HealthError(
            f"{release.name}: the child that loaded the new model {_how_it_ended(code, question)}"
        ) from None
    if reply.rehearsal is None:
        raise error_of(reply.code, reply.message)
    return reply.rehearsal


def _child(question: Question, limit_s: float) -> tuple[int | None, bytes]:
    """Exit code (None: it had to be killed) and output of the child."""
    command = [sys.executable, "-m", "edgetl.runtime.flashing.rehearsal_child"]
    # One thread for each library's own pool: their stacks would count against the limit on memory.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[question.fd],
        start_new_session=True, env=environment, cwd="/",
    )  # fmt: skip
    try:
        out, _ = process.communicate(msgspec.json.encode(question), timeout=limit_s)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        return None, b""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _how_it_ended(code: int | None, question: Question) -> str:
    if code is None or code == -signal.SIGXCPU:
        return f"gave no answer within {question.cpu_s - 1} s and was killed"
    if code < 0:
        return f"crashed: {signal.Signals(-code).name}"
    return f"ended with exit code {code}, perhaps for want of memory (limit {question.memory_mb} MB)"
