"""The `edgetl` command: a table of contents. Each row names the module that is imported when it is called."""

from __future__ import annotations

import os
import sys

import click

from edgetl import __version__
from edgetl.errors import StorageError
from edgetl.exits import ended, fail
from edgetl.lazy_group import LazyGroup

# name: (module, attribute, one line for --help). Nothing here is imported until the command runs,
# so that `edgetl --help` stays fast and a device install never touches torch.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("edgetl.demo", "demo", "The whole job on a drawn part: data, training, int8, bundle, a moving line."),
    "data": ("edgetl.trainer.data_command", "data", "Check a data set, and preview what the model will see."),
    "pull": ("edgetl.flasher.commands.pull", "pull", "Fetch the pictures that a device kept."),
    "review": (
        "edgetl.trainer.review.command",
        "review",
        "Label what a line kept, the most instructive pictures first.",
    ),
    "embed": (
        "edgetl.trainer.embedding.command",
        "embed",
        "Features of a frozen net to a file, and how far a handful of pictures gets.",
    ),
    "zeroshot": ("edgetl.trainer.zeroshot.command", "zeroshot", "Guess labels from words, for people to confirm."),
    "train": ("edgetl.trainer.command", "train", "Train a model from class folders."),
    "compare": (
        "edgetl.benchmarks.model_comparison.command",
        "compare",
        "Which backbone: accuracy against int8 latency and size, for several.",
    ),
    "report": (
        "edgetl.trainer.reporting.command",
        "report",
        "Write a run's page again: figures, and the worst mistakes with what they rest on.",
    ),
    "pretrain": (
        "edgetl.trainer.pretraining.command",
        "pretrain",
        "Pretrain a backbone on drawn pictures: no download, no photographs.",
    ),
    "decide": (
        "edgetl.trainer.deciding.command",
        "decide",
        "Choose when a part is OK, NG or UNKNOWN, from what mistakes cost.",
    ),
    "evaluate": ("edgetl.evaluate", "evaluate", "Accuracy of a run or a bundle on labelled pictures."),
    "export": ("edgetl.exporter.command", "export", "Turn a run into a verified int8 bundle."),
    "parity": ("edgetl.exporter.parity.command", "parity", "Report: the files that ship beside the trained network."),
    "verify": ("edgetl.runtime.commands.verify", "verify", "Check a bundle: hashes, format, golden set."),
    "run": ("edgetl.runtime.commands.run", "run", "Inspect: camera, video, stream, folder or sim: in, verdicts out."),
    "page-password": (
        "edgetl.runtime.commands.page_password",
        "page_password",
        "Make the hash of the page's password for a line's file.",
    ),
    "bench": ("edgetl.benchmarks.command", "bench", "Latency per stage and end to end, float beside int8."),
    "tune": (
        "edgetl.benchmarks.tuning.command",
        "tune",
        "Find the fastest interpreter and threads for a bundle on this device.",
    ),
    "sign": (
        "edgetl.flasher.commands.sign",
        "sign",
        "Make a bundle a release: number it, and sign it with an SSH key.",
    ),
    "flash": ("edgetl.flasher.commands.flash", "flash", "Put a release on a device, on trial, with a way back."),
    "rollback": ("edgetl.flasher.commands.flash", "rollback", "Go back to the release in a device's other slot."),
    "device": (
        "edgetl.flasher.commands.device",
        "device",
        "Devices at the line: which release they run, how they are.",
    ),
    "slot": ("edgetl.runtime.flashing.commands", "slot", "The device's side of flashing; called by the workstation."),
    "outputs": ("edgetl.runtime.commands.outputs", "outputs", "Try the outputs that a line's file names."),
    "sim-data": ("edgetl.runtime.commands.sim_data", "sim_data", "Write a labelled data set of the drawn part."),
}


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgetl")
def root() -> None:
    """Labelled photographs of parts in, verdicts on a production line out."""


def call(args: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    try:
        return ended(lambda: root.main(args=args, prog_name="edgetl", standalone_mode=False))
    except SystemExit:
        return 0  # so ends click when the reader (`| head -1`) went away, which is no error of ours


def _make_streams_safe() -> None:
    """Output may be closed (`>&-`), and a plain locale cannot show every letter: neither may end the program."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """The console script."""
    _make_streams_safe()
    try:
        code = call()
        sys.stdout.flush()
    except OSError as error:
        # The reader went away, which is no error of ours, or the output's disk is full; say no more of it at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        gone = isinstance(error, BrokenPipeError)
        code = 0 if gone else fail(StorageError(f"cannot write the output: {error.strerror}"))
    sys.exit(code)
