"""From an ONNX graph to a TFLite one: operators rewritten with channels last, fused, quantized and written as a file."""
