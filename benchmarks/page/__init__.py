"""One page of all reports of `edgetl bench` in a folder, with plots."""

from edgetl.benchmarks.page.writing import page_of

__all__ = ["page_of"]
