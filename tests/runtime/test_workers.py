"""Worker processes, and Ctrl-C, which a terminal sends to all of them at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

# Prints what each worker makes of Ctrl-C, then works until somebody presses it.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from edgetl.runtime.workers import workers

def ignores(_):
    time.sleep(0.2)
    return os.getpid(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN

def work(number):
    time.sleep(0.3)
    Path(sys.argv[1], str(number)).touch()

if __name__ == "__main__":
    with workers(2) as pool:
        found = dict(pool.map(ignores, range(4)))
        print(len(found), all(found.values()), signal.getsignal(signal.SIGINT) is signal.SIG_IGN, flush=True)
        try:
            list(pool.map(work, range(100)))
        except KeyboardInterrupt:
            print("stopped", flush=True)
            raise SystemExit(130)
"""


def test_ctrl_c_is_left_to_the_process_that_started_them(tmp_path: Path) -> None:
    program, made = tmp_path / "program.py", tmp_path / "made"
    program.write_text(PROGRAM)
    made.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(program), str(made)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell ignores it for what it starts behind
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().split() == ["2", "True", "False"]
    os.killpg(process.pid, signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert (said, complained, process.returncode) == ("stopped\n", "", 130)
    assert len(list(made.iterdir())) < 20  # those that had begun
