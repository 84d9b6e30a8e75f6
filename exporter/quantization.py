"""How one model is quantized: what the converters are told."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.runtime.manifest import Precision

RangeRule = Literal["min-max", "percentile", "entropy", "mse", "roomy", "fourfold"]


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """`ranges` is the rule that sets each activation's range; `precision` that of activations and arithmetic.

    `kept` names the layers (ONNX nodes) that stay in float.
    """

    ranges: RangeRule = "min-max"
    precision: Precision = "int8"
    kept: tuple[str, ...] = ()
