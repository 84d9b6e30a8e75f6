"""What can run a bundle's models on this machine, and what cannot, with the reason."""

from __future__ import annotations

import ctypes.util
import importlib

import msgspec

from edgetl.benchmarks.sweep import thread_counts
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.interpreters import available
from edgetl.runtime.interpreters.registry import INTERPRETERS, engines, format_of
from edgetl.runtime.manifest import Precision


class Candidate(msgspec.Struct, frozen=True, order=True):
    """One way to run a bundle. `ships`: the file is the one that a line runs in that interpreter, so that interpreter and threads
    in the device's settings lead to it again. The others, above all the float file, are there to compare with: no proof, gate or
    golden set speaks for a float file on a device."""

    interpreter: str
    precision: Precision
    threads: int
    ships: bool


def candidates(bundle: Bundle, installed: tuple[str, ...] | None = None) -> list[Candidate]:
    """Every model of the bundle in every interpreter installed here that reads it, with each number of threads; where
    onnxruntime has accelerators, the processor and each of them are candidates of their own."""
    return [
        Candidate(name, record.precision, threads, record == bundle.model(record.format))
        for name in ((*available(), *engines()) if installed is None else installed)
        for record in bundle.manifest.models
        if record.format == format_of(name)
        for threads in (thread_counts() if name != "onnxruntime-cuda" else [1])
    ]


def absent(installed: tuple[str, ...] | None = None) -> dict[str, str]:
    """What could run models on some device and does not on this one, with the reason."""
    names = available() if installed is None else installed
    missing = {
        name: f"not installed; pip install 'edgetl[{extra}]'"
        for name, (_, _, extra) in INTERPRETERS.items()
        if name not in names
    }
    return {**missing, **_accelerators("onnxruntime" in names)}


def _accelerators(has_onnxruntime: bool) -> dict[str, str]:
    providers = importlib.import_module("onnxruntime").get_available_providers() if has_onnxruntime else []
    told = {}
    if "TensorrtExecutionProvider" not in providers:
        told["TensorRT"] = "this onnxruntime was built without it; NVIDIA's wheel for a Jetson has it"
    if "CUDAExecutionProvider" not in providers:
        told["CUDA"] = "this onnxruntime was built without it"
    if ctypes.util.find_library("edgetpu") is None:
        told["Coral"] = "no libedgetpu on this machine"
    else:
        told["Coral"] = "not used: it runs files of Google's edgetpu_compiler only, which a bundle does not hold"
    return told
