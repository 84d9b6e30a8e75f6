"""A file with whatever scales sees the colours that it is shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edgetl.benchmarks.peers.plain_tflite import plain_logits
from edgetl.runtime.preprocess import preprocess
from tests.runtime import tiny


@pytest.mark.parametrize(
    ("dtype", "step"), [("int8", (1.0, -128)), ("int8", (1.2, -100)), ("uint8", (2.0, 3)), ("float32", None)]
)
def test_pixels_go_in_by_the_scales_of_the_file(tmp_path: Path, dtype: str, step: tuple[float, int] | None) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny.tflite(dtype=dtype, step=step))
    logits = plain_logits(path)
    for colour in tiny.LABELS:
        image = preprocess(cv2.resize(tiny.plain(colour), (tiny.SIZE, tiny.SIZE)), tiny.HOW)
        found = logits(image)
        assert tiny.LABELS[int(found.argmax())] == colour
        assert found.max() > 150 and sorted(found)[1] == pytest.approx(0, abs=2)
