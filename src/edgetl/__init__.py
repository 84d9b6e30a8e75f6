"""edgetl: labelled photographs of parts in, verdicts on a production line out.

Importing this package imports nothing heavy; the rooms are `edgetl.runtime` (what runs on a device),
`edgetl.trainer`, `edgetl.exporter` and `edgetl.benchmarks`.
"""

from edgetl._version import VERSION as __version__

__all__ = ["__version__"]
