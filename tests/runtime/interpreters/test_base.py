"""What every interpreter checks before it believes a model or a picture."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.interpreters.base import Quantization, check_image, check_input

INT8, UINT8, FLOAT = (np.dtype(name) for name in ("int8", "uint8", "float32"))


def test_dequantizing_does_not_wrap_around() -> None:
    """−128 − 127 is −255, which int8 cannot hold."""
    stored = np.array([-128, 0, 127], np.int8)
    assert Quantization(0.5, 127).dequantize(stored).tolist() == [-127.5, -63.5, 0.0]
    assert Quantization(0.25, 3).dequantize(np.array([0, 255], np.uint8)).tolist() == [-0.75, 63.0]


def test_scale_zero_means_real_numbers_already() -> None:
    out = Quantization(0.0, 0).dequantize(np.array([1.5, -2.0], np.float32))
    assert out.tolist() == [1.5, -2.0]
    assert out.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"), [(INT8, 1.0, -128), (UINT8, 1.0, 0), (UINT8, 0.0, 0), (FLOAT, 0.0, 0)]
)
def test_raw_pixels_are_accepted(dtype: np.dtype[np.generic], scale: float, zero: int) -> None:
    assert check_input("m.tflite", (1, 96, 96, 3), dtype, scale, zero) == 96


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (1,),
        (96, 96, 3),
        (2, 96, 96, 3),
        (-1, 96, 96, 3),
        (1, -1, -1, 3),
        (1, 0, 0, 3),
        (1, 3, 96, 96),
        (1, 96, 64, 3),
        (1, 96, 96, 1),
    ],
)
def test_other_shapes_are_refused_with_what_was_found(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"m\.tflite: .*1×S×S×3, got") as caught:
        check_input("m.tflite", shape, UINT8, 1.0, 0)
    assert "×".join(map(str, shape)) in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"),
    [(INT8, 1.0, 0), (INT8, 0.5, -128), (INT8, 0.0, 0), (UINT8, 1 / 255, 0), (UINT8, 1.0, 128), (INT8, -1.0, -128)],
)
def test_step_that_is_no_pixel_value_is_refused(dtype: np.dtype[np.generic], scale: float, zero: int) -> None:
    with pytest.raises(ModelError, match="exactly one pixel value"):
        check_input("m.tflite", (1, 96, 96, 3), dtype, scale, zero)


@pytest.mark.parametrize("name", ["int16", "int64", "float16", "float64", "bool"])
def test_other_types_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        check_input("m.tflite", (1, 96, 96, 3), np.dtype(name), 0.0, 0)


@pytest.mark.parametrize(
    "image",
    [np.zeros((32, 31, 3), np.uint8), np.zeros((32, 32), np.uint8), np.zeros((32, 32, 3), np.float32),
     np.zeros((1, 32, 32, 3), np.uint8)],
)  # fmt: skip
def test_picture_of_another_shape_or_type_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ModelError, match="32×32×3 uint8"):
        check_image(image, 32)
