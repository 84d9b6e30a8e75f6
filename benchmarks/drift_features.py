"""Would the pooled features tell more of drift than picture and logits do, and at what cost?

`python -m edgetl.benchmarks.drift_features BUNDLE PICTURES`, with a bundle that holds an int8 TFLite file and a folder of
pictures that did not train it. The file is changed in memory so that it gives its last layer's input as a second
output. Half of the pictures say what is normal; the other half are altered, and for each figure the shift is told in
standard deviations of single pictures: a window of 50 parts sees it seven times as clearly.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter as Litert
from numpy.typing import NDArray

from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.picture import SUFFIXES, read_picture
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.runtime.reference import confidence_of, figures_of

TIMED, ROUNDS = 40, 9
FIGURES = ("brightness", "contrast", "sharpness", "red_share", "blue_share", "margin", "energy", "logits", "features")

ALTERATIONS: dict[str, Callable[[Image], Image]] = {
    "none": lambda image: image,
    "a tenth darker": lambda image: cv2.convertScaleAbs(image, alpha=0.9),
    "a third darker": lambda image: cv2.convertScaleAbs(image, alpha=0.67),
    "blurred, 1 px": lambda image: cv2.GaussianBlur(image, (0, 0), 1.0),
    "warmer light": lambda image: cv2.multiply(image, (1.08, 1.0, 0.9, 0)),
    "moved by a tenth": lambda image: np.roll(image, image.shape[1] // 10, axis=1),
    "turned by 20°": lambda image: _turned(image),
    "a hair on the lens": lambda image: cv2.ellipse(image.copy(), (110, 140), (60, 40), 0, 20, 200, (30, 25, 25), 3),
}


def _turned(image: Image) -> Image:
    middle = (image.shape[1] / 2, image.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, 20, 1.0)
    turned: Image = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    return turned


def with_features(model: bytes) -> bytes:
    """The model file with its last layer's input as a second output."""
    content = schema.ModelT.InitFromPackedBuf(model)
    graph = content.subgraphs[0]
    last = next(op for op in graph.operators if graph.outputs[0] in op.outputs)
    graph.outputs = [graph.outputs[0], last.inputs[0]]
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Model:
    """A TFLite file in LiteRT with one thread."""

    def __init__(self, data: bytes) -> None:
        self._interpreter: Any = Litert(model_content=data, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = self._interpreter.get_output_details()

    def __call__(self, image: Image) -> list[NDArray[np.float32]]:
        self._interpreter.set_tensor(self._input, (image ^ 0x80).view(np.int8)[None])
        self._interpreter.invoke()
        found = []
        for output in self._outputs:
            scale, zero = output["quantization"]
            stored = self._interpreter.get_tensor(output["index"]).reshape(-1)
            found.append((stored.astype(np.float32) - zero) * np.float32(scale))
        return found


def milliseconds(models: dict[str, Model], image: Image) -> dict[str, float]:
    """Median time of each model, in turns."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            for _ in range(TIMED):
                start = time.perf_counter()
                model(image)
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(statistics.median(values), 3) for name, values in times.items()}


def distance(value: NDArray[np.float32], known: NDArray[np.float32]) -> float:
    """Logarithm of the mean squared distance in standard deviations."""
    return float(np.log(np.mean(((value - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-3)) ** 2) + 1e-6))


def rows_of(model: Model, images: list[Image], normal: list[list[NDArray[np.float32]]]) -> list[dict[str, float]]:
    """The figures of each picture; distances are to the normal pictures that were given the same label."""
    rows = []
    for image in images:
        logits, features = model(image)
        label = int(logits.argmax())
        same = [answer for answer in normal if int(answer[0].argmax()) == label] or normal
        row = figures_of(image) | confidence_of(logits, 1.0)
        row["logits"] = distance(logits, np.array([answer[0] for answer in same]))
        row["features"] = distance(features, np.array([answer[1] for answer in same]))
        rows.append(row)
    return rows


def shift_of(altered: list[float], steady: list[float]) -> float:
    """How far the mean moved, in standard deviations of single pictures."""
    spread = max(statistics.pstdev(steady), 1e-9)
    return round((statistics.fmean(altered) - statistics.fmean(steady)) / spread, 2)


def measure(bundle: Bundle, folder: Path) -> dict[str, object]:
    """The shift of each figure under each alteration, and the time of the model with and without a second output."""
    record = bundle.model("tflite")
    assert record is not None
    data = bundle.read(record.path)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    images = [preprocess(read_picture(path), bundle.manifest.preprocessing) for path in paths]
    model = Model(with_features(data))
    normal = [model(image) for image in images[::2]]
    line = images[1::2]
    steady = rows_of(model, line, normal)
    shifts: dict[str, dict[str, float]] = {}
    for said, alter in ALTERATIONS.items():
        rows = rows_of(model, [np.ascontiguousarray(alter(image)) for image in line], normal)
        shifts[said] = {name: shift_of([r[name] for r in rows], [r[name] for r in steady]) for name in FIGURES}
        print(f"{said:<20}", *(f"{name} {shift:+.2f}" for name, shift in shifts[said].items()), file=sys.stderr)
    times = milliseconds({"one output": Model(data), "two outputs": model}, images[0])
    return {"pictures": len(images), "shifts": shifts, "milliseconds": times, "machine": machine()}


def main() -> None:
    """Measures and prints one line of JSON."""
    with open_bundle(Path(sys.argv[1])) as bundle:
        print(json.dumps(measure(bundle, Path(sys.argv[2]))))


if __name__ == "__main__":
    sys.exit(ended(main))
