"""Runs the TFLite conversion in its own process and turns its failures into one line."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from edgetl.errors import ExportError, PrecisionError, UsageError, storage
from edgetl.exporter.quantization import Quantization
from edgetl.trainer.allocation import return_freed_memory

TIMEOUT_S = 1800
ORDER_NAME = "quantization.json"
LOG_NAME = "tflite.log"
LACKING = 3  # exit code of a converter that has the net's operators in float, and one of them not in the precision it was asked for
_DISK_FULL = os.strerror(errno.ENOSPC)  # as Python and protobuf both say it
_FULL_BYTES = 1 << 16  # free space below which a disk on which writing failed is full
# Python's own, and std::bad_alloc of C++.
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory")
# What the signals mean that end a converter, for people who do not know them.
_ENDED_BY: dict[int, str] = {
    signal.SIGKILL: "killed by SIGKILL, as Linux does to the largest process when memory runs out",
    signal.SIGSEGV: "crashed with SIGSEGV",
    signal.SIGABRT: "crashed with SIGABRT",
    signal.SIGBUS: "crashed with SIGBUS",
    signal.SIGILL: "crashed with SIGILL: this processor lacks an instruction that it was built for",
}
_MORE_MEMORY = "close other programs, or choose a smaller --model or --imgsz"


class Converter(msgspec.Struct, frozen=True):
    """The program that writes TFLite files, which is given a folder as tflite_process says, and where its words go:
    to `log`, or to a file in that folder. It is ended after `timeout_s`."""

    command: tuple[str, ...] = (sys.executable, "-m", "edgetl.exporter.tflite_process")
    log: Path | None = None
    timeout_s: float = TIMEOUT_S


def parse_converter(text: str) -> tuple[str, ...]:
    """The words of `--converter`. Raises UsageError."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--converter {text}: {error}") from error
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f"--converter {text}: no such program; name a command that takes a folder")
    return words


def convert(
    folder: Path, how: Quantization | None = None, converter: Converter | None = None, float_of: Path | None = None
) -> None:
    """Converts `folder`/model.onnx to float32.tflite and, unless that is all, to PRECISION.tflite there. `float_of` is another
    folder with weights of the same net: a program that takes a second one writes float32.tflite there too, and is begun once.

    Raises ExportError, StorageError; PrecisionError where the net has an operator that only other precisions have.
    """
    how, converter = how or Quantization(), converter or Converter()
    folders = [folder] if float_of is None else [folder, float_of]
    log = converter.log or folder / LOG_NAME
    with storage(log), log.open("ab") as out:
        begun = out.tell()
        (folder / ORDER_NAME).write_bytes(msgspec.json.encode(how))
        return_freed_memory()  # what exporting and reworking took is not needed beside it
        try:
            done = subprocess.run(
                [*converter.command, *map(str, folders)], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                timeout=converter.timeout_s, env={**os.environ, "PYTHONUNBUFFERED": "1"}, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"the TFLite conversion did not end within {converter.timeout_s:g} s; its log is {log}"
            ) from error
    missing = [name for name in ("float32.tflite", f"{how.precision}.tflite") if not (folder / name).is_file()]
    if done.returncode != 0 or missing:
        said = _said(log, begun)
        refuse_full_disk(folder, said)
        if done.returncode == LACKING:
            raise PrecisionError(_last_line(said))
        raise ExportError(f"the TFLite conversion failed ({_how(done.returncode)}): {_cause(done.returncode, said)}; "
                          f"its log is {log}")  # fmt: skip


def _said(log: Path, begun: int) -> str:
    """What this conversion added to the log."""
    with storage(log), log.open("rb") as lines:
        lines.seek(begun)
        return lines.read().decode(errors="replace")


def refuse_full_disk(folder: Path, said: str) -> None:
    """A full disk is no fault of the net's, and may have cut off the log too. Raises StorageError."""
    if _DISK_FULL in said or shutil.disk_usage(folder).free < _FULL_BYTES:
        with storage(folder):
            raise OSError(errno.ENOSPC, _DISK_FULL)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else _ENDED_BY.get(-code, f"killed by signal {-code}")


def _cause(code: int, said: str) -> str:
    """What a person can do where the system ended it; else its last words."""
    last = _last_line(said)
    if code == -signal.SIGKILL:
        return _MORE_MEMORY
    if any(words in last for words in _OUT_OF_MEMORY):
        return f"no memory was left ({last}); {_MORE_MEMORY}"
    return last


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
