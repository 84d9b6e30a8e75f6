"""Whether two benchmarks differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.benchmarks.machine import differences

if TYPE_CHECKING:
    from edgetl.benchmarks.report import Report

BLOCKS = 24  # latencies of neighbours are alike, those of blocks hardly
DRAWS = 4000
REPEATABLE = 0.03  # two runs of one program on a quiet machine agree so far; below it nothing is claimed


class Comparison(msgspec.Struct, frozen=True):
    """The second's median as a multiple of the first's, with its 95 % interval, and whether they `differ`."""

    ratio: float
    low: float
    high: float
    differ: bool


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Two runs of their own: bootstrap over blocks of neighbours, and more than 3 % apart, since a run also differs from
    another by what the machine did meanwhile, which no resampling of one run can know."""
    random = np.random.default_rng(0)
    one, two = blocks(first), blocks(second)
    drawn = [np.median(random.choice(b, (DRAWS, len(b))), axis=1) for b in (one, two)]
    low, high = np.quantile(drawn[1] / drawn[0], [0.025, 0.975])
    ratio = float(np.median(two) / np.median(one))
    apart = bool(high < 1 - REPEATABLE or low > 1 + REPEATABLE)
    return Comparison(round(ratio, 4), round(float(low), 4), round(float(high), 4), apart)


def compare_interleaved(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Two programs that took turns: neighbouring blocks saw the same machine, so their ratios are what counts (Student's
    interval of the mean logarithm)."""
    ratios = np.log(blocks(second) / blocks(first))
    middle, error = float(ratios.mean()), float(ratios.std(ddof=1) / np.sqrt(len(ratios)))
    low, high = np.exp([middle - T95 * error, middle + T95 * error])
    return Comparison(
        round(float(np.exp(middle)), 4), round(float(low), 4), round(float(high), 4), bool(low > 1 or high < 1)
    )


T95 = 2.0687  # Student's two-sided 95 % point for BLOCKS - 1 degrees of freedom


def blocks(times_ms: Sequence[float]) -> NDArray[np.float64]:
    """The medians of BLOCKS parts of a series, in order. Raises ValueError for a series too short to part."""
    if len(times_ms) < 2 * BLOCKS:
        raise ValueError(f"{len(times_ms)} timings are too few to compare; at least {2 * BLOCKS} are needed")
    parts = np.array_split(np.asarray(times_ms, np.float64), BLOCKS)
    return np.array([np.median(part) for part in parts])


def warnings(one: Report, other: Report) -> list[str]:
    """What else than the time differs between two reports, in words."""
    warned = [f"the machines are not the same: {said}" for said in differences(one.machine, other.machine)]
    if one.bundle_sha256 != other.bundle_sha256:
        warned.append(f"the bundles are not the same: {one.bundle} and {other.bundle}")
    if one.chosen != other.chosen:
        warned.append(f"the stages ran with different models or threads: {one.chosen}, and {other.chosen}")
    if one.quick != other.quick:
        warned.append("one report is quick, the other is not")
    not_to_quote = [report.bundle for report in (one, other) if report.judgement.result == "INVALID"]
    return warned + [f"{bundle}: its report is INVALID" for bundle in not_to_quote]
