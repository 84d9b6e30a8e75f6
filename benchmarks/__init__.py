"""Latency and accuracy on a device, and comparisons with other tools."""
