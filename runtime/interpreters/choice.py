"""Chooses the interpreter and its threads by measuring here, and remembers the answer for this machine and model.

By name it cannot be known: on x86 the same int8 file takes 3 ms in LiteRT and 59 ms in tflite-runtime.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import EdgetlError, MissingPartError, ModelError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.files import cache_folder, write_file
from edgetl.runtime.interpreters.base import Interpreter, OpenedModel
from edgetl.runtime.interpreters.registry import INTERPRETERS, available, format_of
from edgetl.runtime.interpreters.scoring import open_model
from edgetl.runtime.manifest import Precision
from edgetl.runtime.spare import cores

_RUNS = 12
_WORTH_A_THREAD = 0.8  # one more thread must take the time below this share, else the cores serve other stages


class Choice(msgspec.Struct, frozen=True):
    """What was chosen, and the milliseconds that each candidate took at its best."""

    interpreter: str
    threads: int
    measured_ms: dict[str, float]


def open_named(bundle: Bundle, name: str, threads: int = 1, precision: Precision | None = None) -> OpenedModel:
    """Opens the bundle's model of that precision, or the one that ships, with the named interpreter."""
    record = bundle.model(format_of(name), precision)
    if record is None:
        raise ModelError(f"{bundle.path}: holds no {precision or 'quantized'} {format_of(name)} model for {name}")
    return open_model(bundle, record, name, threads)


def choose(bundle: Bundle, name: str | None = None, threads: int | None = None) -> tuple[OpenedModel, Choice]:
    """Opens the fastest interpreter for the bundle's quantized model, within what the caller fixed.

    A measured answer is kept in the user's cache folder, keyed by machine, library versions and model.
    """
    names = [name] if name else _usable(bundle)
    if not names:
        wanted = ", ".join(f"edgetl[{extra}]" for _, _, extra in INTERPRETERS.values())
        raise MissingPartError(f"no interpreter is installed; run: pip install one of {wanted}")
    if name and threads:
        return open_named(bundle, name, threads), Choice(name, threads, {})
    cache = _cache_file(bundle, names, threads)
    known = _recall(cache)
    # The file may be damaged or edited: a hundred thousand threads would take the machine down.
    if known is not None and known.interpreter in names and known.threads in _counts(threads):
        return open_named(bundle, known.interpreter, known.threads), known
    interpreter, choice = _measured(bundle, names, threads)
    _remember(cache, choice)
    return interpreter, choice


def _usable(bundle: Bundle) -> list[str]:
    return [name for name in available() if bundle.model(format_of(name)) is not None]


def thread_counts() -> list[int]:
    """Thread counts worth trying: powers of two that leave a core to capture and preprocessing."""
    most = max(1, cores() - 1)
    return [n for n in (1, 2, 4) if n <= most]


def _counts(threads: int | None) -> list[int]:
    return [threads] if threads else thread_counts()


def _measured(bundle: Bundle, names: list[str], threads: int | None) -> tuple[OpenedModel, Choice]:
    best: tuple[float, OpenedModel] | None = None
    times: dict[str, float] = {}
    for name in names:
        for count in _counts(threads):
            try:
                interpreter = open_named(bundle, name, count)
            except ModelError:
                if len(names) == 1:
                    raise
                continue  # another interpreter may still read its own file
            times[f"{name}/{count}"] = took = best_ms(interpreter)
            share = _WORTH_A_THREAD if best and count > best[1].info.threads else 1.0
            if best is None or took < best[0] * share:
                best = (took, interpreter)
    if best is None:
        raise ModelError(f"{bundle.path}: none of the installed interpreters can load its models")
    return best[1], Choice(best[1].info.name, best[1].info.threads, times)


def best_ms(interpreter: Interpreter, runs: int = _RUNS) -> float:
    """Milliseconds of the fastest of some inferences on noise, after one to warm up.

    The fastest, since whatever else the machine does only adds: a median taken on a busy machine has chosen the
    slower of two interpreters.
    """
    image = np.random.default_rng(0).integers(0, 256, (interpreter.size, interpreter.size, 3), np.uint8)
    interpreter.raw(image)
    times: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        interpreter.raw(image)
        times.append((time.perf_counter() - start) * 1000)
        if sum(times) > 300:  # a slow one has lost already
            break
    return min(times)


def _cache_file(bundle: Bundle, names: list[str], threads: int | None) -> Path:
    models = sorted(bundle.manifest.files[m.path].sha256 for m in bundle.manifest.models)
    key = json.dumps([models, names, threads, thread_counts(), os.uname().nodename, os.uname().machine])
    return cache_folder() / "choices" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def _recall(cache: Path) -> Choice | None:
    try:
        return msgspec.json.decode(cache.read_bytes(), type=Choice)
    except (OSError, msgspec.DecodeError, ValueError):
        return None


def _remember(cache: Path, choice: Choice) -> None:
    try:
        write_file(cache, msgspec.json.encode(choice))
    except EdgetlError:
        return  # without a writable cache it is measured again next time
