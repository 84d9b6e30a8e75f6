"""`edgetl export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.exits import stopped_like_ctrl_c
from edgetl.trainer.importing import lasting

if TYPE_CHECKING:
    from edgetl.exporter.targets import Target
    from edgetl.runtime.manifest import Manifest


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The bundle to write, NAME.edgetl."
)
@click.option(
    "--data", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Where the run's pictures are now."
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Frames of the real camera, in one folder or in the run's classes, that calibrate besides the run's own.",
)
@click.option("--max-drop", default=1.0, show_default=True, help="Points of balanced accuracy that int8 may lose.")
@click.option("--max-recall-loss", default=1.0, show_default=True, help="Points of recall that any one class may lose.")
@click.option("--max-flips", default=2.0, show_default=True, help="Per cent of the decisions that may change.")
@click.option(
    "--max-gain-error",
    default=20.0,
    show_default=True,
    help="Per cent by which the logits may be larger or smaller on the whole, which shifts every score.",
)
@click.option(
    "--rung", default=None, metavar="NAME", help="Only this rung of the ladder: min-max, percentile, …, float16."
)
@click.option(
    "--budget", "budget_min", default=30.0, show_default=True, help="Minutes after which no further rung begins."
)
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Below it a verdict is UNKNOWN."
)
@click.option(
    "--float/--no-float",
    "with_float",
    default=True,
    show_default=True,
    help="Also carry the float model, to compare with.",
)
@click.option(
    "--target",
    default=None,
    metavar="NAME",
    help="Check the operators for this device, by the names of `edgetl device configs` or coral-edgetpu.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Also write the parity report there, as `edgetl parity` does; where it fails, so does the export.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Keep intermediate files and logs there.",
)
@click.option(
    "--converter",
    default=None,
    metavar="COMMAND",
    help="Another program to write the TFLite files; it is given a folder with model.onnx, calibration.npy and "
    "quantization.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def export(
    run: Path, as_json: bool, max_drop: float, max_recall_loss: float, max_flips: float,
    max_gain_error: float, converter: str | None,
    target: str | None, report: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Turn a run into a verified int8 bundle (TFLite and ONNX), measured against float before it is written."""
    with lasting():
        from edgetl.errors import ParityError
        from edgetl.exporter.exporting import export as export_run
        from edgetl.exporter.ladder.gate import Limits
        from edgetl.exporter.options import Options
        from edgetl.exporter.parity.reporting import Choices
        from edgetl.exporter.parity.writing import report_on
        from edgetl.exporter.targets import load_target
        from edgetl.exporter.tflite import parse_converter
        from edgetl.exporter.work_folder import check_folder
        from edgetl.trainer.progress import ConsoleReporter
        from edgetl.trainer.run_folder import read_run

    limits = Limits(
        max_drop=max_drop, max_recall_loss=max_recall_loss, max_flips=max_flips, max_gain_error=max_gain_error
    )
    wanted = None if target is None else load_target(target)
    program = None if converter is None else parse_converter(converter)
    chosen = Options(limits=limits, target=wanted, converter=program, **options)
    with stopped_like_ctrl_c(), ConsoleReporter() as reporter:
        found = read_run(run)
        if report is not None:
            check_folder(report)
        manifest = export_run(found, chosen, reporter)
        failures: tuple[str, ...] = ()
        if report is not None:
            choices = Choices(data=chosen.data or Path(found.settings.data), max_flips=max_flips)
            failures = report_on(found, chosen.out, choices, report, reporter).failures
    click.echo(_as_json(manifest, chosen.out) if as_json else _table(manifest, chosen.out, wanted))
    if failures:
        page = report / "parity.html" if report is not None else ""
        raise ParityError(f"{chosen.out} was written, but {failures[0]}; see {page}")


def _as_json(manifest: Manifest, bundle: Path) -> str:
    import msgspec

    rows = [msgspec.to_builtins(row) for row in manifest.measured]
    size = bundle.stat().st_size
    return json.dumps({"bundle": str(bundle), "bytes": size, "rung": manifest.lineage.rung, "measured": rows})


def _table(manifest: Manifest, bundle: Path, target: Target | None) -> str:
    lines = [
        f"{bundle}: {bundle.stat().st_size / 1e6:.1f} MB, rung {manifest.lineage.rung}",
        f"{'model':<22}{'split':<7}{'n':>5}{'balanced accuracy':>20}{'same as float':>16}{'AUROC':>8}",
    ]
    for row in manifest.measured:
        auroc = "-" if row.auroc is None else format(row.auroc.value, ".4f")
        lines.append(
            f"{row.model:<22}{row.split:<7}{row.n:>5}{100 * row.balanced_accuracy:>18.2f} %"
            f"{100 * row.same_decisions:>14.1f} %{auroc:>8}"
        )
    if target is not None:
        lines.append(f"checked for {target.name} by rule: its engine was not run here; `edgetl verify` there proves it")
    return "\n".join(lines)
