"""What the machine does at its best: a large matrix product in each interpreter, and a copy of memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import numpy as np

from edgetl.benchmarks.roofline.products import COLUMNS, INNER, MACS, ROWS, Type, onnx_product, tflite_product, weights
from edgetl.errors import ModelError
from edgetl.runtime.interpreters import available
from edgetl.runtime.interpreters.tflite import MODULES

_SMALLEST_COPY = 1 << 20  # bytes; below it the call itself would be what is measured


class Peak(msgspec.Struct, frozen=True):
    """Of one number of threads: 10^9 multiply-accumulates a second of the fastest matrix product of each type, and by whom."""

    threads: int
    int8_gmac_s: float
    int8_by: str
    float32_gmac_s: float
    float32_by: str

    def best(self, other: Peak) -> Peak:
        """The better of two measurements, type by type."""
        int8 = max(self, other, key=lambda peak: peak.int8_gmac_s)
        real = max(self, other, key=lambda peak: peak.float32_gmac_s)
        return Peak(self.threads, int8.int8_gmac_s, int8.int8_by, real.float32_gmac_s, real.float32_by)


def measured_peak(threads: int, seconds: float) -> Peak:
    """The fastest of all interpreters installed here, for each type; each is tried for so long."""
    int8, int8_by = _fastest("int8", threads, seconds)
    real, real_by = _fastest("float32", threads, seconds)
    if real > int8:  # no int8 product known here, or a slow one: int8 values may be multiplied as real ones
        int8, int8_by = real, f"{real_by}, float32"
    return Peak(threads, round(int8, 3), int8_by, round(real, 3), real_by)


def _fastest(type: Type, threads: int, seconds: float) -> tuple[float, str]:
    rates = {name: MACS / _best_s(step, seconds) / 1e9 for name, step in _steps(type, threads).items()}
    best = max(rates, key=lambda name: rates[name], default="nobody")
    return rates.get(best, 0.0), best


def _steps(type: Type, threads: int) -> dict[str, Callable[[], object]]:
    """One matrix product of everyone who can do it here. numpy's stands in for float alone, where there is nobody else: it takes
    as many threads as it likes, and multiplies int8 one by one."""
    found: dict[str, Callable[[], object]] = {}
    installed = available()
    if "litert" in installed:
        with contextlib.suppress(ImportError):  # of the schema, which a slimmer LiteRT may lack
            found["litert"] = _tflite_step(type, threads)
    if "onnxruntime" in installed:
        found["onnxruntime"] = _onnx_step(type, threads)
    if not found and type == "float32":
        left, right = np.ones((ROWS, INNER), np.float32), weights(type)
        found["numpy with its own threads"] = partial(np.matmul, left, right, np.empty((ROWS, COLUMNS), np.float32))
    return found


def _tflite_step(type: Type, threads: int) -> Callable[[], object]:
    from edgetl.runtime.interpreters.tflite import open_library

    interpreter = open_library(MODULES["litert"], tflite_product(type), "a matrix product", threads, "fast")
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], np.ones(details["shape"], details["dtype"]))
    step: Callable[[], object] = interpreter.invoke
    return step


def _onnx_step(type: Type, threads: int) -> Callable[[], object]:
    import onnxruntime as ort

    from edgetl.runtime.interpreters.onnx import open_session

    session = open_session(ort, onnx_product(type), "a matrix product", threads, "fast")
    picture = np.ones((ROWS, INNER), np.uint8 if type == "int8" else np.float32)
    return lambda: session.run(["out"], {"in": picture})


def copy_gb_s(working_set: int, threads: int, seconds: float) -> float:
    """10^9 bytes a second that are read and written when as many bytes as a model works on are copied over and over: from
    the cache where they fit into it, from memory where not."""
    each = max(working_set, _SMALLEST_COPY) // 2 // threads
    pairs = [(np.ones(each, np.uint8), np.zeros(each, np.uint8)) for _ in range(threads)]
    if threads == 1:
        source, target = pairs[0]
        return 2 * each / _best_s(partial(np.copyto, target, source), seconds) / 1e9
    with ThreadPoolExecutor(threads) as pool:
        rounds = max(1, (16 << 20) // each)  # so that starting the threads is no part of the figure

        def copy(pair: tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ...]) -> None:
            for _ in range(rounds):
                np.copyto(pair[1], pair[0])

        return 2 * each * threads * rounds / _best_s(lambda: list(pool.map(copy, pairs)), seconds) / 1e9


def _best_s(step: Callable[[], object], seconds: float) -> float:
    """The fastest of at least five calls, since whatever else a machine does only adds."""
    step()
    best, end, calls = float("inf"), time.perf_counter() + seconds, 0
    while calls < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
        calls += 1
    if best <= 0:
        raise ModelError("the clock of this machine is too coarse to measure its peak")
    return best
