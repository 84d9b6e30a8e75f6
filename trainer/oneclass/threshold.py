"""The threshold: up to which distance a part is good, from the distances of good parts that the bank does not know."""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_LEAST_SPREAD = 1e-3  # of logarithms: a thousandth of a distance; pictures that are all alike give nothing to measure
_EULER = 0.5772156649015329
_SKEWNESS, _KURTOSIS = 1.1395, 5.4  # of every Gumbel distribution


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """`distance`: a share `false_alarm` of good parts is estimated to lie above it. `surely`: with 95 % confidence at most
    that share lies above this one. `spread` is the standard deviation of the logarithms of the `pictures` distances."""

    distance: float
    surely: float
    spread: float
    false_alarm: float
    pictures: int

    @property
    def band(self) -> float:
        """How many spreads `surely` lies above `distance`."""
        return math.log(self.surely / self.distance) / self.spread


def threshold_of(distances: NDArray[np.float64], false_alarm: float) -> Threshold:
    """The threshold for a share of false alarms, by a Gumbel distribution of the logarithms, fitted by its moments.

    A hundred pictures cannot show the highest hundredth by counting; a distribution can say where it lies, and how far
    the estimate may be off (G. Kite, Frequency and Risk Analyses in Hydrology, 1977). A picture's distance is that of its
    farthest places, and largest values of many are so distributed: with a longer tail to the right than a normal one,
    by which three times as many good parts were called bad as were to be.
    """
    logs = np.log(distances)
    mean, spread = float(logs.mean()), max(float(logs.std(ddof=1)), _LEAST_SPREAD)
    far = -(math.sqrt(6) / math.pi) * (_EULER + math.log(-math.log1p(-false_alarm)))
    error = math.sqrt((1 + _SKEWNESS * far + far**2 * (_KURTOSIS - 1) / 4) / len(logs))
    surely = far + NormalDist().inv_cdf(CONFIDENCE) * error
    return Threshold(
        distance=math.exp(mean + far * spread), surely=math.exp(mean + surely * spread), spread=spread,
        false_alarm=false_alarm, pictures=len(logs),
    )  # fmt: skip
