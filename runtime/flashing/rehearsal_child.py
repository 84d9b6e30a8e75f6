"""The child of `rehearsal`: reads a question on its input, limits itself, and answers with one JSON line."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from edgetl.errors import BundleHashError, EdgetlError, SourceError
from edgetl.runtime.flashing.rehearsal import Question, Reply
from edgetl.runtime.flashing.requirements import Rehearsal

if TYPE_CHECKING:
    from edgetl.runtime.inspector import Inspector
    from edgetl.runtime.preprocess import Image

_SETTLE = 5
_TIMED = 60
_TIMED_S = 3.0


def main() -> None:
    """One question, one answer."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    out = os.dup(1)
    os.dup2(2, 1)  # libraries that print to stdout do not spoil the answer
    try:
        _limit(question)
        reply = Reply(rehearsal=_rehearse(question))
    except EdgetlError as error:
        reply = Reply(code=error.code, message=str(error))
    except MemoryError:
        reply = Reply(code="E_HEALTH", message=f"{question.name}: needs more than {question.memory_mb} MB")
    os.write(out, msgspec.json.encode(reply) + b"\n")
    os._exit(0)  # a damaged interpreter may crash on its way out, and the answer is given


def _limit(question: Question) -> None:
    size = question.memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (question.cpu_s, question.cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _rehearse(question: Question) -> Rehearsal:
    from pathlib import Path

    from edgetl.runtime.bundle import read_bundle
    from edgetl.runtime.golden import golden_inputs, read_golden, replay_all
    from edgetl.runtime.inspector import Inspector
    from edgetl.runtime.interpreters import choose
    from edgetl.runtime.picture import decode
    from edgetl.runtime.verification import check_proofs

    with read_bundle(Path(question.name), os.fdopen(question.fd, "rb")) as bundle:
        if hashlib.sha256(bundle.manifest_bytes).hexdigest() != question.manifest_sha256:
            raise BundleHashError(f"{question.name}: holds another manifest than the one that was signed")
        check_proofs(bundle)
        golden = read_golden(bundle)
        images, changed = golden_inputs(bundle, golden)
        replays = replay_all(bundle, golden, images)
        model, choice = choose(bundle, question.interpreter, question.threads)
        inspector = Inspector.of(bundle, model)
        frames = [decode(bundle.read(p.path), p.path) for p in golden.pictures]
        latency = _latency(inspector, frames)
    seen, failed = _look(question.camera, inspector)
    return Rehearsal(
        replays=tuple(replays), changed_inputs=tuple(changed), interpreter=choice.interpreter, threads=choice.threads,
        latency_ms=latency, camera=seen, camera_failed=failed,
    )  # fmt: skip


def _latency(inspector: Inspector, frames: list[Image]) -> dict[str, float]:
    """Milliseconds from picture to decision over the golden pictures, again and again: p50, p90, p99, max."""
    from edgetl.runtime.status import percentiles

    times: list[float] = []
    for number in range(_SETTLE + _TIMED):
        start = time.perf_counter()
        inspector.judge(inspector.prepare(frames[number % len(frames)]))
        times.append((time.perf_counter() - start) * 1000)
        if number >= _SETTLE + 2 and sum(times) > _TIMED_S * 1000:
            break
    return percentiles(times[_SETTLE:])


def _look(camera: str | None, inspector: Inspector) -> tuple[str | None, bool]:
    """What the new model says of one camera frame, or why there is none."""
    from edgetl.runtime.sources import open_source

    if camera is None:
        return None, False
    try:
        source = open_source(camera)
        try:
            frame = source.read()
        finally:
            source.close()
    except SourceError as error:
        return str(error), True
    if frame is None or frame.image is None:
        return f"{source.name}: {frame.fault if frame else 'no frame'}", True
    decision = inspector.judge(inspector.prepare(frame.image)).decision
    height, width = frame.image.shape[:2]
    return f"{source.name}: {width}×{height}, {decision.verdict} {decision.label} {decision.score:.3f}", False


if __name__ == "__main__":
    main()
