"""What a device's engine makes of a model: what runs on it, what falls back, and what the device does not have."""

from edgetl.exporter.targets.fit import Fit, fit
from edgetl.exporter.targets.record import ANY_DEVICE, Engine, Target, in_fast_kernels, load_target, target_names

__all__ = ["ANY_DEVICE", "Engine", "Fit", "Target", "fit", "in_fast_kernels", "load_target", "target_names"]
