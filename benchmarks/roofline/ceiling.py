"""The least time that a model can take on a machine, as the roofline model has it."""

from __future__ import annotations

import msgspec

from edgetl.benchmarks.roofline.peak import Peak, copy_gb_s, measured_peak
from edgetl.runtime.graphs.work import OperatorWork, Work


class Ceiling(msgspec.Struct, frozen=True):
    """Of one model with one number of threads. `ms`: every operator is given the longer of the time for its multiply-accumulates
    at the machine's peak and the time for its bytes at the speed of a copy."""

    gmac: float
    moved_mb: float
    copy_gb_s: float
    ms: float


class Machine:
    """The peaks of this machine. They are measured again and again between other measurements, and the best counts: what
    else runs only slows a machine down, and a peak that is too low would flatter every model."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._peaks: dict[int, Peak] = {}
        self._copies: dict[tuple[int, int], float] = {}

    def look(self, work: Work | None, threads: int) -> None:
        """Measures once with so many threads, and a copy of as many bytes as the model works on."""
        found, before = measured_peak(threads, self._seconds), self._peaks.get(threads)
        self._peaks[threads] = found if before is None else before.best(found)
        if work is not None:
            key = (work.working_set, threads)
            self._copies[key] = max(self._copies.get(key, 0.0), copy_gb_s(*key, self._seconds))

    @property
    def peaks(self) -> list[Peak]:
        """Those that were measured."""
        return list(self._peaks.values())

    def ceiling(self, work: Work, threads: int) -> Ceiling:
        """The model's ceiling here, by all that was measured so far; there was a look at it before."""
        return ceiling(work, self._peaks[threads], self._copies[work.working_set, threads])


def ceiling(work: Work, peak: Peak, copied_gb_s: float) -> Ceiling:
    """What the work takes at least on a machine of that peak."""
    least = sum(operator_ms(operator, peak, copied_gb_s) for operator in work.operators)
    return Ceiling(round(work.macs / 1e9, 4), round(work.bytes / 1e6, 3), round(copied_gb_s, 2), round(least, 4))


def operator_ms(operator: OperatorWork, peak: Peak, copied_gb_s: float) -> float:
    """The longer of the two times of one operator, in milliseconds."""
    rate = peak.int8_gmac_s if operator.int8 else peak.float32_gmac_s
    return max(operator.macs / (rate * 1e6), operator.bytes / (copied_gb_s * 1e6))
