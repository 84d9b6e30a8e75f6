"""Keeps the frames that are worth a person's label: rejects, unsure and drifted ones, and a random sample."""

from edgetl.runtime.collect.collector import Collector
from edgetl.runtime.collect.record import Collected, CollectSettings, read_collected

__all__ = ["CollectSettings", "Collected", "Collector", "read_collected"]
