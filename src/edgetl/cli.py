"""The `edgetl` command: a table of contents. Each row names the module that is imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from edgetl import __version__
from edgetl.errors import EdgetlError, MissingPartError, StorageError

# name: (module, attribute, one line for --help). Nothing here is imported until the command runs,
# so that `edgetl --help` stays fast and a device install never touches torch.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("edgetl.demo", "demo", "The whole job on a drawn part: data, training, int8, bundle, a moving line."),
    "train": ("edgetl.trainer.command", "train", "Train a model from class folders."),
    "evaluate": ("edgetl.evaluate", "evaluate", "Accuracy of a run or a bundle on labelled pictures."),
    "export": ("edgetl.exporter.command", "export", "Turn a run into a verified int8 bundle."),
    "verify": ("edgetl.runtime.commands.verify", "verify", "Check a bundle: hashes, format, golden set."),
    "run": ("edgetl.runtime.commands.run", "run", "Inspect: camera, video, stream, folder or sim: in, verdicts out."),
    "bench": ("edgetl.benchmarks.command", "bench", "Latency per stage and end to end, float beside int8."),
    "sim-data": ("edgetl.runtime.commands.sim_data", "sim_data", "Write a labelled data set of the drawn part."),
}

# An import that fails for one of these means that an extra is missing, not that edgetl is broken.
EXTRA_OF = {
    "torch": "train", "torchvision": "train", "timm": "train", "safetensors": "train", "matplotlib": "train",
    "yaml": "train", "rich": "train", "onnx": "export", "onnx2tf": "export", "onnxscript": "export",
    "tensorflow": "export", "onnxruntime": "export", "cv2": "device", "numpy": "device",
}  # fmt: skip


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called (after click's documented pattern)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[2]) for name, row in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgetl")
def root() -> None:
    """Labelled photographs of parts in, verdicts on a production line out."""


def _missing_part(error: ModuleNotFoundError) -> MissingPartError | None:
    extra = EXTRA_OF.get((error.name or "").partition(".")[0])
    if extra is None:
        return None
    return MissingPartError(f"{error.name} is not installed; run: pip install 'edgetl[{extra}]'")


def _fail(error: EdgetlError) -> int:
    click.echo(f"edgetl: {error.code}: {error}", err=True)
    return error.exit_code


def call(args: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code: 0 success, 1 failed check, 2 usage, 3 missing part."""
    try:
        result: Any = root.main(args=args, prog_name="edgetl", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except EdgetlError as error:
        return _fail(error)
    except ModuleNotFoundError as error:
        missing = _missing_part(error)
        if missing is None:
            raise
        return _fail(missing)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SystemExit:
        return 0  # so ends click when the reader (`| head -1`) went away, which is no error of ours
    except (KeyboardInterrupt, click.Abort):
        click.echo("edgetl: stopped by the user", err=True)
        return 130


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
        code = 0 if gone else _fail(StorageError(f"cannot write the output: {error.strerror}"))
    sys.exit(code)
