"""TFLite models: right answers from right ones, one clear error from all others, and never a dead process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.interpreters import OpenedModel, available, open_interpreter
from edgetl.runtime.preprocess import preprocess
from tests.runtime import pictures as pic
from tests.runtime import tiny

LIBRARIES = available("tflite")
needs_tflite = pytest.mark.skipif(not LIBRARIES, reason="needs ai-edge-litert or tflite-runtime")
pytestmark = needs_tflite


def opened(model: bytes, **options: object) -> OpenedModel:
    return open_interpreter(LIBRARIES[0], model, "model/x.tflite", **options)  # type: ignore[arg-type]


MODELS = {
    "int8": tiny.tflite(),
    "uint8": tiny.tflite(dtype="uint8", step=(1.0, 0)),
    "float32": tiny.tflite(dtype="float32", step=None),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("dtype", MODELS)
def test_logits_are_the_models_whatever_its_type(library: str, kernels: str, dtype: str) -> None:
    interpreter = open_interpreter(library, MODELS[dtype], "m", 1, kernels)  # type: ignore[arg-type]
    image = preprocess(pic.noise(), tiny.HOW)
    logits = interpreter.logits(image)
    assert logits.dtype == np.float32
    assert logits == pytest.approx(image.reshape(-1, 3).mean(axis=0), abs=0.0 if dtype == "float" else 1.0)
    raw = interpreter.raw(image)
    assert raw.dtype == np.dtype(dtype) and np.array_equal(interpreter.logits_of(raw), logits)
    assert interpreter.info.kernels == kernels


def test_every_pixel_value_reaches_an_int8_model() -> None:
    interpreter = opened(MODELS["int8"], kernels="reference")
    for value in (0, 1, 127, 128, 254, 255):
        image = np.full((tiny.SIZE, tiny.SIZE, 3), value, np.uint8)
        assert interpreter.logits(image).tolist() == [value] * 3


def test_answers_do_not_depend_on_the_pictures_before() -> None:
    interpreter = opened(MODELS["int8"])
    images = [preprocess(tiny.plain(colour), tiny.HOW) for colour in ("red", "green", "grey")]
    once = [interpreter.raw(image) for image in images]
    again = [interpreter.raw(image) for image in reversed(images)][::-1]
    for first, second in zip(once, again, strict=True):
        assert np.array_equal(first, second)


def test_picture_is_not_changed_and_may_be_read_only() -> None:
    image = preprocess(pic.noise(), tiny.HOW)
    before = image.copy()
    image.flags.writeable = False
    opened(MODELS["int8"]).raw(image)
    assert np.array_equal(image, before)


def test_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match="32×32×3"):
        opened(MODELS["int8"]).raw(np.zeros((64, 64, 3), np.uint8))


# What a good model becomes: its shape, type or quantization is not the contract's.
WRONG = {
    "two pictures": ({"shape": (2, 32, 32, 3)}, "1×S×S×3, got 2×32×32×3"),
    "not square": ({"shape": (1, 32, 48, 3)}, "got 1×32×48×3"),
    "grey": ({"shape": (1, 32, 32, 1)}, "got 1×32×32×1"),
    "channels first": ({"shape": (1, 3, 32, 32)}, "got 1×3×32×32"),
    "no dimensions": ({"shape": ()}, "model/x.tflite"),
    "int16": ({"dtype": "int16", "step": None}, "got int16"),
    "int32": ({"dtype": "int32", "step": None}, "got int32"),
    "scaled input": ({"step": (0.5, -128)}, "got scale 0.5"),
    "shifted input": ({"step": (1.0, 0)}, "zero point 0"),
    "no quantization": ({"step": None}, "got scale 0"),
    "two outputs": ({"outputs": 2}, "got 1 and 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_model_outside_the_contract_is_refused_with_what_was_found(name: str) -> None:
    how, words = WRONG[name]
    with pytest.raises(ModelError) as caught:
        opened(tiny.tflite(**how))  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD = MODELS["int8"]
DAMAGED = {
    "empty": b"",
    "8 bytes": b"\x08\0\0\0TFL3",
    "8 zeros": bytes(8),
    "header only": GOOD[:16],
    "header and zeros": GOOD[:8] + bytes(1000),
    "root beyond the end": b"\xff\xff\xff\x7fTFL3" + GOOD[8:],
    "root in the header": b"\x00\0\0\0TFL3" + GOOD[8:],
    "another mark": GOOD[:4] + b"TFL2" + GOOD[8:],
    "random": np.random.default_rng(1).bytes(4096),
    "random behind a header": GOOD[:8] + np.random.default_rng(2).bytes(4096),
    "cut": GOOD[: len(GOOD) // 2],
    "a PNG": pic.png(2, 1, 8, 0, b"\0\1\2"),
}

CHILD = """
import sys
from edgetl.errors import ModelError
from edgetl.runtime.interpreters import open_interpreter
try:
    open_interpreter(sys.argv[1], sys.stdin.buffer.read(), "x.tflite")
except ModelError as error:
    print(error)
    sys.exit(7)
"""


@pytest.mark.fault("M1")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_file_is_a_model_error_and_no_dead_process(library: str, name: str) -> None:
    """In a child, since a library that ends the process would end the tests too."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, library], input=DAMAGED[name], capture_output=True, check=False, timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 7, (done.returncode, done.stderr.decode())
    assert done.stdout.decode().startswith("x.tflite: ")
    assert done.stdout.decode().count("\n") == 1
