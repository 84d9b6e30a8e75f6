"""Commands in several processes, as torchrun starts them on several GPUs; here on the CPU, which speak through gloo."""

from __future__ import annotations

import os
import subprocess
import sys


def torchrun(processes: int, *words: object) -> subprocess.CompletedProcess[str]:
    """`edgetl WORDS` in so many processes."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        "-m",
        "edgetl",
    ]
    return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False, timeout=280,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
