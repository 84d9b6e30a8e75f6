"""The rungs: each is one way to quantize, and says what it costs on the device."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.errors import UsageError
from edgetl.exporter.quantization import Quantization

Weights = Literal["as trained", "equalized", "distilled"]


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One way to quantize: what is done to the weights, how the tensors are quantized, and one line for people.

    `kept` is the share of weighted layers, the most sensitive ones, that stay in float; `more` reads the ranges from
    pictures of train too.
    """

    name: str
    means: str
    weights: Weights = "as trained"
    quantization: Quantization = Quantization()
    kept: float = 0.0
    more: bool = False


# Fully int8 rungs come first, whatever they cost here: export is paid once, the device pays for every part. Of them `equalized`
# comes first, since a few dozen acceptance pictures let a noisier one pass by luck (docs/adr/0024).
RUNGS = (
    Rung(
        name="equalized",
        means="int8, channels brought to like ranges across layers, weights rounded so that results change least",
        weights="equalized",
        quantization=Quantization(ranges="mse"),
    ),
    Rung(
        name="mse",
        means="int8, ranges with the smallest mean squared rounding error",
        quantization=Quantization(ranges="mse"),
    ),
    Rung(
        name="more-pictures",
        means="int8, equalized, ranges read from pictures of train too",
        weights="equalized",
        quantization=Quantization(ranges="mse"),
        more=True,
    ),
    Rung(name="min-max", means="per-channel int8, ranges from the smallest to the largest value seen"),
    Rung(
        name="percentile",
        means="int8, ranges that leave out one value in ten thousand",
        quantization=Quantization(ranges="percentile"),
    ),
    Rung(
        name="entropy",
        means="int8, ranges that keep the most of each tensor's distribution (Kullback-Leibler)",
        quantization=Quantization(ranges="entropy"),
    ),
    Rung(
        name="distilled",
        means="int8, fine-tuned under simulated rounding to give the float net's logits",
        weights="distilled",
        quantization=Quantization(ranges="mse"),
    ),
    Rung(
        name="mixed",
        means="int8, but for the most sensitive layers, which stay in float",
        weights="equalized",
        quantization=Quantization(ranges="mse", precision="mixed"),
        kept=0.1,
    ),
    Rung(
        name="int16",
        means="int8 weights, int16 activations: no fast kernels on CPUs",
        quantization=Quantization(ranges="fourfold", precision="int16"),
    ),
    Rung(
        name="float16",
        means="float16 weights, float arithmetic: half the size of float, no faster",
        quantization=Quantization(precision="float16"),
    ),
)
# Calibration pictures of good parts do not show how far a bad one's activations reach. A range that cuts off what is rare cuts
# off what a one-class bundle looks for, so there its ladder begins.
ROOMY = Rung(
    name="roomy",
    means="int8, ranges wider than good parts need, so that nothing unusual is cut off",
    quantization=Quantization(ranges="roomy"),
)
_UNUSUAL = ("min-max", "mse", "equalized", "mixed", "int16", "float16")  # first what cuts nothing off
ONE_CLASS = (ROOMY, *(rung for name in _UNUSUAL for rung in RUNGS if rung.name == name))
NAMES = tuple(rung.name for rung in (*RUNGS, ROOMY))


def rungs_of(name: str | None, *, one_class: bool = False) -> tuple[Rung, ...]:
    """All rungs for such a bundle, or the one that `--rung` names. Raises UsageError."""
    if name is None:
        return ONE_CLASS if one_class else RUNGS
    if name not in NAMES:
        raise UsageError(f"--rung {name}: no such rung; choose from {', '.join(NAMES)}")
    return tuple(rung for rung in (*RUNGS, ROOMY) if rung.name == name)
