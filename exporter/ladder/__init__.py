"""The quantization ladder: rungs from cheap to dear, a gate on decisions, and the climb that stops at the first pass."""
