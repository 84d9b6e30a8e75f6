"""What every interpreter offers: a picture in, raw outputs or logits out."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.preprocess import Image

# fast: what edgetl runs; reference: the plain implementation, equal on every processor; default: what the library does
# when nothing is asked of it (TFLite without a delegate, onnxruntime without exact sums), to compare with.
Kernels = Literal["fast", "reference", "default"]
# What onnxruntime computes on; auto: TensorRT where it is there and takes the graph, else the processor.
Engine = Literal["auto", "cpu", "cuda"]


class InterpreterInfo(msgspec.Struct, frozen=True):
    """Which library runs which model file, and how."""

    name: str
    version: str
    model: str
    threads: int
    kernels: Kernels


class Interpreter(Protocol):
    """A loaded model. Not thread-safe: one thread at a time."""

    info: InterpreterInfo
    size: int

    def raw(self, image: Image) -> NDArray[np.generic]:
        """The output as the file gives it (int8 or float32, one value a label) for size×size×3 uint8 RGB."""

    def logits(self, image: Image) -> NDArray[np.float32]:
        """The output in real numbers, one logit a label."""


class OpenedModel(Interpreter, Protocol):
    """An interpreter that was opened on a file, and so can say what its raw output means: for both, one inference is enough."""

    def logits_of(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """What `raw` gave, as `logits` would give it."""


class Quantization(msgspec.Struct, frozen=True):
    """real = scale × (stored − zero_point); scale 0 means that the tensor is not quantized."""

    scale: float
    zero_point: int

    def dequantize(self, stored: NDArray[np.generic]) -> NDArray[np.float32]:
        """Real values of stored ones; widened first, since int8 minus a zero point overflows."""
        if self.scale == 0.0:
            return stored.astype(np.float32)
        return (stored.astype(np.int32) - self.zero_point).astype(np.float32) * np.float32(self.scale)


_PIXELS = np.dtype(np.uint8)


def check_image(image: Image, size: int) -> None:
    """Raises ModelError unless the image is size×size×3 uint8."""
    if image.shape != (size, size, 3) or image.dtype != _PIXELS:
        raise ModelError(f"the model takes {size}×{size}×3 uint8, got shape {image.shape} of {image.dtype}")


def check_input(where: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], scale: float, zero: int) -> int:
    """Checks a model's input against the contract (raw pixels, NHWC, one picture) and returns its side in pixels."""
    if len(shape) != 4 or shape[0] != 1 or shape[1] != shape[2] or shape[1] < 1 or shape[3] != 3:
        raise ModelError(f"{where}: the input must be 1×S×S×3, got {'×'.join(map(str, shape)) or 'no dimensions'}")
    expected = {"uint8": 0, "int8": -128}
    if dtype.name == "float32":
        return int(shape[1])
    if dtype.name not in expected:
        raise ModelError(f"{where}: the input must be uint8, int8 or float32 pixels, got {dtype.name}")
    # A uint8 tensor without a scale holds pixels as they are; an int8 one without a scale says nothing.
    if (scale or dtype.name == "int8") and (abs(scale - 1.0) > 1e-6 or zero != expected[dtype.name]):
        raise ModelError(
            f"{where}: an input step must be exactly one pixel value (scale 1, zero point {expected[dtype.name]}), "
            f"got scale {scale:g}, zero point {zero}; the picture would be misread"
        )
    return int(shape[1])
