"""Runs the TFLite conversion in its own process and turns its failures into one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from edgetl.errors import ExportError, storage

TIMEOUT_S = 1800


def convert(folder: Path) -> None:
    """Converts `folder`/model.onnx to float32.tflite and int8.tflite there. Raises ExportError."""
    log = folder / "tflite.log"
    command = [sys.executable, "-m", "edgetl.exporter.tflite_process", str(folder)]
    with storage(log), log.open("wb") as out:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
                env={**os.environ, "PYTHONUNBUFFERED": "1"}, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ExportError(f"the TFLite conversion did not end within {TIMEOUT_S} s; its log is {log}") from error
    missing = [name for name in ("float32.tflite", "int8.tflite") if not (folder / name).is_file()]
    if done.returncode != 0 or missing:
        raise ExportError(
            f"the TFLite conversion failed ({_how(done.returncode)}): {_last_line(log)}; its log is {log}"
        )


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
