"""A converter with a fault: `converter.py DEFECT EARLIER FOLDER`, as `edgetl export --converter` calls it.

It hands over the files that the real converter made of the same network (in EARLIER), after it has done to them what a
converter, or somebody's script around one, may do wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

WEIGHTED = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)


class File:
    """A TFLite file whose layers can be changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model: Any = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        self._graph = self._model.subgraphs[0]

    def pixels(self) -> Any:
        """The input tensor."""
        return self._graph.tensors[self._graph.inputs[0]]

    def layer(self, number: int) -> tuple[Any, Any]:
        """The weights and the bias of a layer with weights, in the order in which they run."""
        kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in self._model.operatorCodes]
        layers = [o for o in self._graph.operators if kinds[o.opcodeIndex] in WEIGHTED]
        weights, bias = (self._graph.tensors[index] for index in layers[number].inputs[1:3])
        return weights, bias

    def values(self, tensor: Any, dtype: type) -> np.ndarray:  # type: ignore[type-arg]
        """A tensor's stored numbers in its shape."""
        return np.asarray(self._model.buffers[tensor.buffer].data, np.uint8).view(dtype).reshape(tensor.shape)

    def store(self, tensor: Any, values: np.ndarray) -> None:  # type: ignore[type-arg]
        """Other numbers for a tensor."""
        self._model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)

    def save(self) -> None:
        """Writes the file in place of what it was."""
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        self._path.write_bytes(bytes(builder.Output()))


def swapped_channels(file: File, dtype: type) -> None:
    """Red and blue change places: the first layer's weights in another order."""
    weights, _ = file.layer(0)
    file.store(weights, file.values(weights, dtype)[..., ::-1])


def wrong_input_scale(file: File, _: type) -> None:
    """A step of the input is two pixel values."""
    file.pixels().quantization.scale = [2.0]


def wrong_inner_scale(file: File, _: type) -> None:
    """The weights of one layer inside are eight times what they were."""
    scaled(file.layer(2)[0], 8.0)


def flat_logits(file: File, _: type) -> None:
    """The classifier's weights are a tenth of what they were: labels stay, scores do not."""
    scaled(file.layer(-1)[0], 0.1)


def scaled(weights: Any, factor: float) -> None:
    """Other scales for a layer's weights."""
    weights.quantization.scale = [factor * scale for scale in weights.quantization.scale]


def stale_labels(file: File, dtype: type) -> None:
    """The classes stand in another order, as when a file is from before a folder was renamed."""
    weights, bias = file.layer(-1)
    file.store(weights, np.roll(file.values(weights, dtype), 1, axis=0))
    file.store(bias, np.roll(file.values(bias, np.int32 if dtype is np.int8 else dtype), 1, axis=0))


def collapsed(file: File, _: type) -> None:
    """Nothing is left of the first layer but its rounding: every picture looks the same."""
    scaled(file.layer(0)[0], 1e-6)


INT8: dict[str, Callable[[File, type], None]] = {
    f.__name__: f
    for f in (swapped_channels, wrong_input_scale, wrong_inner_scale, flat_logits, stale_labels, collapsed)
}


def main() -> None:
    """Writes both files, damaged; or ends as a program does that crashes."""
    defect, earlier, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(f"converting {folder}")
    if defect.startswith("SIG"):
        sys.stdout.flush()
        os.kill(os.getpid(), signal.Signals[defect])
    precision = json.loads((folder / "quantization.json").read_text())["precision"]
    for name in {"float32.tflite", f"{precision}.tflite"}:
        shutil.copy(earlier / name, folder / name)
    if defect == "swapped_float_channels":
        file = File(folder / "float32.tflite")
        swapped_channels(file, np.float32)
        file.save()
    elif defect in INT8 and precision != "float32":
        file = File(folder / "int8.tflite")
        INT8[defect](file, np.int8)
        file.save()


if __name__ == "__main__":
    main()
