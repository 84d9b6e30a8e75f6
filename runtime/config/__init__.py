"""Configuration files: read once at the edge, into frozen typed records, refused with file and line."""

from edgetl.runtime.config.line import LineConfig, load_line
from edgetl.runtime.config.yaml_record import read_record

__all__ = ["LineConfig", "load_line", "read_record"]
