"""docs/benchmarks.md, written from the results that are kept."""

from edgetl.benchmarks.document.writing import write_document

__all__ = ["write_document"]
