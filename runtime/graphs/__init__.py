"""Reads what a model file says of itself: operators, tensor types, quantization; no interpreter, no other library.

A device has one interpreter, and tflite-runtime brings neither TFLite's schema nor ONNX's. The bytes are not trusted:
every offset is checked, and the work is bounded by the size of the file.
"""

from edgetl.runtime.graphs.onnx import OnnxGraph, OnnxNode, OnnxTensor, activation_types, read_onnx
from edgetl.runtime.graphs.tflite import TfliteGraph, TfliteOperator, TfliteTensor, read_tflite

__all__ = [
    "OnnxGraph", "OnnxNode", "OnnxTensor", "TfliteGraph", "TfliteOperator", "TfliteTensor",
    "activation_types", "read_onnx", "read_tflite",
]  # fmt: skip
