"""A TFLite file of anybody's as something that judges pictures: pixels go in as the file's own scales say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.evaluation import Logits
from edgetl.runtime.interpreters.base import Quantization
from edgetl.runtime.interpreters.tflite import MODULES, open_library
from edgetl.runtime.preprocess import Image


def plain_logits(path: Path) -> Logits:
    """From S×S×3 uint8 RGB to logits, of a file that takes pixels 0 to 255, quantized anyhow or not at all."""
    model: Any = open_library(MODULES["litert"], path.read_bytes(), path.name, 1, "fast")
    taken, given = model.get_input_details()[0], model.get_output_details()[0]
    scale, zero = taken["quantization"]

    def logits(image: Image) -> NDArray[np.float32]:
        values = image.astype(np.float32)
        if scale:
            lowest, highest = np.iinfo(taken["dtype"]).min, np.iinfo(taken["dtype"]).max
            values = np.clip(np.round(values / scale) + zero, lowest, highest)
        model.set_tensor(taken["index"], values[None].astype(taken["dtype"]))
        model.invoke()
        return Quantization(*given["quantization"]).dequantize(model.get_tensor(given["index"])[0])

    return logits
