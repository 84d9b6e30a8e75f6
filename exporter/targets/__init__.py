"""What a device's engine makes of a model: what runs on it, what falls back, and what the device does not have."""

from edgetl.exporter.targets.fit import Fit, fit
from edgetl.exporter.targets.record import Engine, Target, load_target, target_names

__all__ = ["Engine", "Fit", "Target", "fit", "load_target", "target_names"]
