"""What models answer for given pictures here: asked by the parity report, on this machine or through a pipe elsewhere.

`python -m edgetl.runtime.answers` reads a Questions message on stdin and writes Answers on stdout, so that any
command that runs a Python with edgetl (`ssh line1 python3`, another environment, an emulator) can be asked.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl import __version__
from edgetl.errors import EdgetlError
from edgetl.runtime.interpreters import Interpreter, Kernels, available, open_interpreter
from edgetl.runtime.manifest import ModelFormat
from edgetl.runtime.preprocess import Image

PROTOCOL = 1
_INT8_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm")


class Model(msgspec.Struct, frozen=True):
    """One model file by name, with its bytes and the kernels to ask in each library that reads it."""

    name: str
    format: ModelFormat
    data: bytes
    kernels: tuple[Kernels, ...]


class Questions(msgspec.Struct, frozen=True):
    """Models, and the pictures (count×size×size×3 uint8 RGB, as the models take them) that each is asked about.

    `reference_pictures`: reference kernels take fifty times as long, so they are asked about the first ones only.
    """

    models: tuple[Model, ...]
    size: int
    pixels: bytes
    reference_pictures: int
    protocol: int = PROTOCOL

    def images(self) -> NDArray[np.uint8]:
        """The pictures, shape (count, size, size, 3)."""
        return np.frombuffer(self.pixels, np.uint8).reshape(-1, self.size, self.size, 3)


class Machine(msgspec.Struct, frozen=True):
    """Where answers come from. `int8`: instructions that int8 kernels use."""

    architecture: str
    processor: str
    int8: tuple[str, ...]
    python: str
    edgetl: str

    def saturates(self) -> bool:
        """Whether sums of unsigned × signed products overflow 16 bits in onnxruntime's default kernels here."""
        return self.architecture == "x86_64" and not {"avx512_vnni", "avx_vnni"} & set(self.int8)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one model gave in one library: its outputs as the file stores them (bytes of `dtype`, a row a picture),
    with the median milliseconds of an inference; or the error that stopped it."""

    model: str
    interpreter: str
    version: str = ""
    kernels: Kernels
    pictures: int = 0
    dtype: str = "int8"
    raw: bytes = b""
    median_ms: float = 0.0
    error: str | None = None

    def outputs(self) -> NDArray[np.generic]:
        """The outputs, shape (pictures, labels)."""
        return np.frombuffer(self.raw, self.dtype).reshape(self.pictures, -1)


class Answers(msgspec.Struct, frozen=True):
    """All answers of one machine."""

    machine: Machine
    answers: tuple[Answer, ...]
    protocol: int = PROTOCOL


def answer_all(questions: Questions, advance: Callable[[int], None] = lambda _: None) -> Answers:
    """Asks every model in every library that is installed here. `advance` is told how many answers there are."""
    images = questions.images()
    answers: list[Answer] = []
    for model, library, kernels in asked_here(questions):
        few = images[: questions.reference_pictures] if kernels == "reference" else images
        answers.append(_answer(model, library, kernels, few))
        advance(len(answers))
    return Answers(this_machine(), tuple(answers))


def asked_here(questions: Questions) -> list[tuple[Model, str, Kernels]]:
    """The models, libraries and kernels that `answer_all` goes through here."""
    return [(m, library, k) for m in questions.models for library in available(m.format) for k in m.kernels]


def _answer(model: Model, library: str, kernels: Kernels, images: NDArray[np.uint8]) -> Answer:
    try:
        interpreter = open_interpreter(library, model.data, model.name, 1, kernels)
        raw, took = _run(interpreter, list(images))
    except EdgetlError as error:
        return Answer(model=model.name, interpreter=library, kernels=kernels, error=str(error))
    return Answer(
        model=model.name, interpreter=library, version=interpreter.info.version, kernels=kernels,
        pictures=len(images), dtype=str(raw.dtype),
        raw=raw.tobytes(), median_ms=round(1000 * statistics.median(took), 3),
    )  # fmt: skip


def _run(interpreter: Interpreter, images: list[Image]) -> tuple[NDArray[np.generic], list[float]]:
    rows, took = [], []
    for image in images:
        start = time.perf_counter()
        rows.append(interpreter.raw(image))
        took.append(time.perf_counter() - start)
    return np.stack(rows), took


def this_machine() -> Machine:
    """The machine that this runs on."""
    lines = _lines(Path("/proc/cpuinfo"))
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    return Machine(
        architecture=platform.machine(),
        processor=(named or [platform.processor() or "unknown"])[0],
        int8=tuple(flag for flag in _INT8_FLAGS if flag in flags),
        python=platform.python_version(),
        edgetl=__version__,
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def serve(given: BinaryIO, out: BinaryIO) -> None:
    """Answers one Questions message."""
    questions = msgspec.msgpack.decode(given.read(), type=Questions)
    out.write(msgspec.msgpack.encode(answer_all(questions)))


if __name__ == "__main__":
    # Libraries print to stdout what they like; the answer goes to a copy of it that they do not know.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with channel:
        serve(sys.stdin.buffer, channel)
