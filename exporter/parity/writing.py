"""Writes a parity report beside its record: parity.html to read, parity.json for machines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.exporter.parity.page import write_page
from edgetl.exporter.parity.record import Report
from edgetl.exporter.parity.reporting import Choices, make_report
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.files import write_file
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run


def report_on(run: Run, bundle: Path, choices: Choices, out: Path, reporter: Reporter) -> Report:
    """Makes and writes the report of a bundle and the run it came from. Raises ExportError, BundleError."""
    with open_bundle(bundle) as opened:
        report = make_report(run, opened, choices, reporter)
    write_file(out / "parity.json", msgspec.json.format(msgspec.json.encode(report)))
    write_file(out / "parity.html", write_page(report, choices.data))
    return report
