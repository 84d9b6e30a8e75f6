"""How integers stand for real numbers, after TensorFlow Lite's 8-bit quantization specification and its 16x8 counterpart."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.exporter.lowering.graph import Array, Steps, Tensor
from edgetl.exporter.ranges import Range

_WEIGHTS = 127  # largest magnitude of a weight, so that zero is in the middle
_LARGEST_BIAS = 1 << 30  # in steps: half of what int32 holds
# Of a result's step: the least that one step of products may be, for kernels that multiply by a ratio of both.
_FINEST = 2.0**-24


class Integers(msgspec.Struct, frozen=True):
    """The integers of activations: numpy's name, ends, and whether zero always lies in the middle. `bias` is the type of biases."""

    type: str
    lowest: int
    highest: int
    symmetric: bool
    bias: str

    def steps(self, within: Range, least: float = 0.0) -> Steps:
        """The finest steps that hold a range and zero, but none finer than `least`; of nothing but zeros, steps of 1."""
        low, high = min(float(within[0]), 0.0), max(float(within[1]), 0.0)
        if self.symmetric:
            return _single(max(max(-low, high) / self.highest or 1.0, least), 0)
        scale = max((high - low) / (self.highest - self.lowest) or 1.0, least)
        zero = int(np.clip(np.rint(self.lowest - low / scale), self.lowest, self.highest))
        return _single(scale, zero)

    def share_steps(self) -> Steps:
        """Steps of values from 0 to 1, as softmax and a sigmoid must give them."""
        return _single(2.0**-15, 0) if self.symmetric else _single(2.0**-8, self.lowest)

    def tanh_steps(self) -> Steps:
        """Steps of values from -1 to 1, as a hyperbolic tangent must give them."""
        return _single(2.0**-15 if self.symmetric else 2.0**-7, 0)

    def constant(self, values: Array, steps: Steps | None = None) -> Tensor:
        """A constant activation in such steps, or in the finest that hold it."""
        steps = steps or self.steps((float(values.min()), float(values.max())))
        return Tensor(values.shape, self.type, self.stored(values, steps), steps)

    def stored(self, values: Array, steps: Steps) -> Array:
        """The integers nearest to real numbers."""
        found: Array = np.clip(
            np.rint(values.astype(np.float64) / steps.scale[0]) + steps.zero[0], self.lowest, self.highest
        )
        return found.astype(self.type)


INT8 = Integers("int8", -128, 127, False, "int32")
INT16 = Integers("int16", -32768, 32767, True, "int64")
PIXELS = Steps(np.ones(1, np.float32), np.array([-128]))  # a step is one pixel value


def _single(scale: float, zero: int) -> Steps:
    return Steps(np.array([scale], np.float32), np.array([zero]))


def quantized_layer(
    weights: Array, bias: Array, axis: int, given: Steps, made: Steps, integers: Integers
) -> tuple[Tensor, Tensor]:
    """A layer's weights in int8 with steps for each output channel (along `axis`), and its biases in the steps of their products."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    step, magnitude = float(given.scale[0]), np.abs(bias).astype(np.float64)
    # A channel whose weights are next to nothing has steps that its bias, and the kernels' ratio of steps, can bear.
    least = np.maximum(magnitude / (step * _LARGEST_BIAS), _FINEST * float(made.scale[0]) / step)
    scale = np.maximum(np.abs(weights).max(axis=others) / _WEIGHTS, least).astype(np.float32)
    spread = [-1 if own == axis else 1 for own in range(weights.ndim)]
    stored = np.clip(np.rint(weights / scale.reshape(spread)), -_WEIGHTS, _WEIGHTS).astype(np.int8)
    products = (scale * np.float32(step)).astype(np.float32)
    biases: NDArray[np.float64] = np.rint(bias / products.astype(np.float64))
    zeros = np.zeros(len(scale), np.int64)
    return (
        Tensor(weights.shape, "int8", stored, Steps(scale, zeros, axis)),
        Tensor(bias.shape, integers.bias, biases.astype(integers.bias), Steps(products, zeros)),
    )
