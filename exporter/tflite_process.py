"""ONNX to float and quantized TFLite, run as a process of its own: `python -m edgetl.exporter.tflite_process FOLDER [FLOAT]`.

Its memory is returned when it ends, what it says goes to a file, and a crash in it is one exit code. FOLDER holds `model.onnx`,
`calibration.npy` and `quantization.json`; `float32.tflite` and the quantized file are written there. Of FLOAT, a folder with
other weights of that net, only the float file is made.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgetl.errors import ExportError, OperatorError, PrecisionError
from edgetl.exporter.lowering.graph import Graph
from edgetl.exporter.lowering.lower import lowered
from edgetl.exporter.lowering.observing import ranges_of
from edgetl.exporter.lowering.quantizing import halved, in_int16, quantized
from edgetl.exporter.lowering.writing import packed
from edgetl.exporter.onnx_int8 import folded
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.tflite import LACKING, ORDER_NAME
from edgetl.exporter.unconvertible import layer_of


def convert(folder: Path) -> None:
    """Writes the TFLite files that are wanted beside the ONNX graph. Raises OperatorError."""
    graph = convert_float(folder)
    how = msgspec.json.decode((folder / ORDER_NAME).read_bytes(), type=Quantization)
    if how.precision != "float32":
        (folder / f"{how.precision}.tflite").write_bytes(packed(_quantized(graph, folder / "calibration.npy", how)))


def convert_float(folder: Path) -> Graph:
    """Writes the float file beside the ONNX graph, and returns what is in it. Raises OperatorError."""
    graph = lowered(folded(folder))
    (folder / "float32.tflite").write_bytes(packed(graph))
    return graph


def _quantized(graph: Graph, pictures: Path, how: Quantization) -> Graph:
    if how.precision == "float16":
        return halved(graph)
    ranges = ranges_of(graph, pictures, how.ranges)
    return in_int16(graph, ranges) if how.precision == "int16" else quantized(graph, ranges, how.kept)


def main(folder: Path, others: list[Path]) -> int:
    """Converts, and says in one line what cannot be converted. The others hold other weights of the same net."""
    try:
        convert(folder)
        for other in others:
            convert_float(other)
    except OperatorError as error:
        lacking = isinstance(error, PrecisionError)
        print(
            f"TFLite has no operator for {error.kind} of layer {layer_of(error.node, folder / 'model.onnx')} (ONNX node {error.node}"
            f"{error.why and f': {error.why}'}); {'--rung mixed or float16 keeps it in float' if lacking else 'choose another --model'}"
        )
        return LACKING if lacking else 1
    except ExportError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    first, *rest = (Path(name) for name in sys.argv[1:])
    sys.exit(main(first, rest))
