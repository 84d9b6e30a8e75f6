"""How a program of edgetl ends: with an exit code, and one line where something is wrong."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import click

from edgetl.errors import EdgetlError, MissingPartError, UsageError, limit_reached

# An import that fails for one of these means that an extra is missing, not that edgetl is broken.
EXTRA_OF = {
    "torch": "train", "captum": "train", "optuna": "train", "torchvision": "train", "timm": "train", "open_clip": "train", "safetensors": "train", "matplotlib": "train",
    "yaml": "train", "rich": "train", "jinja2": "train", "PIL": "train", "onnx": "export", "onnxscript": "export",
    "onnxruntime": "export", "flatbuffers": "export",
    "cv2": "device", "numpy": "device",
    "gpiod": "line", "paho": "line", "pymodbus": "line", "asyncua": "line",
    "simplejpeg": "device", "starlette": "page", "uvicorn": "page", "ruamel": "page",
}  # fmt: skip


def ended(program: Callable[[], Any]) -> int:
    """Runs a program and returns its exit code: 0 success, 1 failed check, 2 usage, 3 missing part. What it raises of our own
    errors, or for want of memory, disk or a package, becomes one line on stderr."""
    try:
        result = program()
        return result if isinstance(result, int) else 0
    except EdgetlError as error:
        return fail(error)
    except (KeyboardInterrupt, click.Abort):  # before the others: click's Abort is a RuntimeError
        click.echo("edgetl: stopped by the user", err=True)
        return 130
    except ModuleNotFoundError as error:
        missing = _missing_part(error)
        if missing is None:
            raise
        return fail(missing)
    except (OSError, RuntimeError, MemoryError) as error:
        limit = limit_reached(error)
        if limit is None:
            raise
        return fail(limit)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return fail(_misused(error))


@contextlib.contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, as of systemd, `timeout` or a CI job, ends the work within as Ctrl-C does, and so leaves nothing behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _misused(error: click.ClickException) -> UsageError:
    """What click says of a command line, in our own one line, with where help is."""
    told = " ".join(error.format_message().rstrip(".").split())
    context = getattr(error, "ctx", None)
    return UsageError(f"{told}; see {context.command_path} --help" if context else told)


def _missing_part(error: ModuleNotFoundError) -> MissingPartError | None:
    extra = EXTRA_OF.get((error.name or "").partition(".")[0])
    if extra is None:
        return None
    return MissingPartError(f"{error.name} is not installed; run: pip install 'edgetl[{extra}]'")


def fail(error: EdgetlError) -> int:
    """Says what is wrong; its exit code."""
    click.echo(f"edgetl: {error.code}: {error}", err=True)
    return error.exit_code
