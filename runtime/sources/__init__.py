"""Where frames come from: cameras, streams, videos, folders, and the simulated conveyor."""

from edgetl.runtime.sources.base import Frame, Source
from edgetl.runtime.sources.registry import open_source

__all__ = ["Frame", "Source", "open_source"]
