"""Thousands of damaged model files: the process that asks for them lives, and each ends within seconds.

A file is loaded in a child with limits on memory and time, as `edgetl slot` and `edgetl flash` load a new release.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgetl.runtime.interpreters import available
from tests.runtime import tiny

MUTATIONS = 2000
LIMIT_S = 5

# Loads damaged copies of the model on stdin one after the other in a child; where the child dies, another goes on with
# the next copy. Prints how each ended: 0 loaded and ran, 3 a ModelError of ours, 4 another error, negative a signal.
HARNESS = """
import collections, json, os, resource, signal, sys
import numpy as np
from edgetl.errors import ModelError
from edgetl.runtime.interpreters import open_interpreter
library, count, limit_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
good = np.frombuffer(sys.stdin.buffer.read(), np.uint8)
places = np.arange(len(good))
if len(good) > 20000:  # of a real net, the tables at both ends: weights between them hurt nobody
    places = np.concatenate([places[:2000], places[-len(good) // 5:]])

def damaged(number):
    random, data = np.random.default_rng(number), good.copy()
    where = random.choice(places, 1 + number % 6)
    data[where] = random.integers(0, 256, len(where))
    return data.tobytes()

def outcome(data):
    try:
        interpreter = open_interpreter(library, data, "m.tflite")
        interpreter.raw(np.zeros((interpreter.size, interpreter.size, 3), np.uint8))
    except ModelError:
        return b"3"
    except BaseException:
        return b"4"
    return b"0"

def child(first, pipe):
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for fd in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    for number in range(first, count):
        signal.setitimer(signal.ITIMER_PROF, limit_s)  # of processor time, so that a busy machine fails nobody
        os.write(pipe, outcome(damaged(number)))
    os._exit(0)

ends, done = collections.Counter(), 0
while done < count:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(done, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        told = answers.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ends.update(chr(end) for end in told)
    done += len(told)
    if done < count:
        ends[str(code)] += 1
        done += 1
print(json.dumps(ends))
"""
TIMED_OUT = str(-signal.SIGPROF)


@pytest.mark.slow
@pytest.mark.fault("M2")
@pytest.mark.parametrize("library", ["litert", "tflite-runtime"])
def test_two_thousand_damaged_files(library: str) -> None:
    """Whoever loads them lives, and no child needed to be stopped for time."""
    if library not in available("tflite"):
        pytest.skip(f"needs {library}")
    ends = run(library, tiny.tflite(), MUTATIONS)
    assert sum(ends.values()) == MUTATIONS
    assert ends.get("0", 0) > 50 and ends.get("3", 0) > 500, ends
    assert ends.get("4", 0) == 0, f"an error that is not ours came out of a damaged file: {ends}"
    assert ends.get(TIMED_OUT, 0) == 0, f"a file took more than {LIMIT_S} s: {ends}"


@pytest.mark.slow
@pytest.mark.fault("M2")
def test_damaged_files_of_a_real_net(small_bundle: Path) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        ends = run("litert", archive.read("model/int8.tflite"), 200)
    assert sum(ends.values()) == 200 and ends.get("4", 0) == ends.get(TIMED_OUT, 0) == 0, ends


def run(library: str, model: bytes, count: int) -> dict[str, int]:
    """How the children ended, by exit code (negative: a signal)."""
    command = [sys.executable, "-c", HARNESS, library, str(count), str(LIMIT_S)]
    done = subprocess.run(command, input=model, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    ends: dict[str, int] = json.loads(done.stdout)
    return ends
