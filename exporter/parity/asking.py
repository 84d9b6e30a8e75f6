"""Asks the network here, and the models of a bundle here and wherever a command reaches."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ExportError, UsageError
from edgetl.exporter.onnx_variants import signed
from edgetl.exporter.remembering import network_logits
from edgetl.runtime.answers import PROTOCOL, Answers, Model, Questions
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.graphs import activation_types, read_onnx
from edgetl.runtime.interpreters import Kernels
from edgetl.runtime.manifest import ModelRecord
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import preprocess
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run, SplitRecord

SIGNED = ", signed"  # behind the name of a graph that was written with signed activations
TIMEOUT_S = 3600


class Elsewhere(msgspec.Struct, frozen=True):
    """A place to ask: its name in the report, and the command that runs a Python there which has edgetl."""

    name: str
    command: tuple[str, ...]


def parse_elsewhere(text: str) -> Elsewhere:
    """Parses NAME=COMMAND. Raises UsageError."""
    name, given, command = text.partition("=")
    if not given or not name.strip() or not command.strip():
        raise UsageError(f"--also {text}: expected NAME=COMMAND, such as 'line1=ssh pi@line1 /opt/edgetl/bin/python'")
    return Elsewhere(name.strip(), tuple(shlex.split(command)))


def models_of(bundle: Bundle) -> tuple[Model, ...]:
    """The bundle's models, and its ONNX graph of int8 written with signed activations, which no bundle ships."""
    models = [Model(m.path, m.format, bundle.read(m.path), _kernels(m)) for m in bundle.manifest.models]
    ships = bundle.model("onnx")
    if ships is not None and activation_types(read_onnx(bundle.read(ships.path), ships.path)) == {"uint8"}:
        models.append(Model(ships.path + SIGNED, "onnx", signed(bundle.read(ships.path)), ("fast",)))
    return tuple(models)


def _kernels(record: ModelRecord) -> tuple[Kernels, ...]:
    """Answers of quantized files depend on the kernels, and only TFLite's reference kernels of whole numbers are the same
    everywhere."""
    if record.precision == "float32":
        return ("fast",)
    return ("fast", "default", "reference") if is_exact(record) else ("fast", "default")


def is_exact(record: ModelRecord) -> bool:
    """Whether the reference kernels must give a model's outputs to the bit in every place."""
    return record.format == "tflite" and record.precision in ("int8", "int16")


def read_inputs(run: Run, data: Path, pictures: list[SplitRecord]) -> NDArray[np.uint8]:
    """The pictures as the models take them, shape (count, size, size, 3)."""
    how = run.record.preprocessing
    return np.stack([preprocess(decode(read_bytes(data / p.path), p.path), how) for p in pictures])


def ask_network(run: Run, data: Path, images: NDArray[np.uint8], reporter: Reporter) -> NDArray[np.float32]:
    """The trained network's logits, shape (count, labels)."""
    logits, rows = network_logits(run, data, reporter), []
    reporter.begin("network", len(images))
    for done, image in enumerate(images, start=1):
        rows.append(logits(image))
        reporter.advance(done)
    return np.stack(rows)


def ask_elsewhere(place: Elsewhere, questions: Questions) -> Answers:
    """Pipes the questions through a command. Raises ExportError with the last line that it said."""
    command = [*place.command, "-m", "edgetl.runtime.answers"]
    try:
        done = subprocess.run(
            command, input=msgspec.msgpack.encode(questions), capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"--also {place.name}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ExportError(f"--also {place.name}: exit code {done.returncode}: {said[-1][:300]}")
    try:
        answers = msgspec.msgpack.decode(done.stdout, type=Answers)
    except msgspec.DecodeError as error:
        raise ExportError(f"--also {place.name}: its answer cannot be read ({error}); is its edgetl older?") from error
    if answers.protocol != PROTOCOL:
        raise ExportError(f"--also {place.name}: speaks protocol {answers.protocol}, expected {PROTOCOL}; update it")
    return answers
