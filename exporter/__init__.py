"""From a run to a bundle: ONNX, int8 TFLite and ONNX, calibration, parity, golden set."""
