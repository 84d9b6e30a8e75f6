"""Where an export works: a folder for intermediate files, and the check that its result can be written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetl.errors import ExportError, storage

RUNGS = "rungs"
# What the converter said, in the run's folder, where it is found again after a crash.
_LOG_NAME = "export-{name}.log"
MORE = "-more"  # behind the name of weights, where more pictures calibrate
_OURS = (RUNGS, *(name + end for name in ("as-trained", "equalized", "distilled") for end in ("", MORE)))


def check_out(out: Path) -> None:
    """Meets an unwritable place before minutes of conversion, not after. Raises StorageError."""
    with storage(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(out))
        with tempfile.TemporaryFile(dir=out.parent):
            pass


def check_folder(out: Path) -> None:
    """The same of a folder of results, which is made. Raises StorageError."""
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)


def log_of(run: Path, name: str) -> Path | None:
    """An empty log in the run's folder for the export of one bundle; None where that folder is read-only."""
    log = run / _LOG_NAME.format(name=name)
    try:
        log.write_bytes(b"")
    except OSError:
        return None
    return log.resolve()


@contextmanager
def work_folder(keep: Path | None) -> Iterator[Path]:
    """A folder for intermediate files; removed afterwards unless `keep` names one, or an error points to a log there."""
    if keep is not None:
        with storage(keep):
            keep.mkdir(parents=True, exist_ok=True)
            for name in _OURS:  # of an earlier export, maybe of another run
                shutil.rmtree(keep / name, ignore_errors=True)
        yield keep.resolve()
        return
    with storage(tempfile.gettempdir()):
        folder = Path(tempfile.mkdtemp(prefix="edgetl-export-"))
    pointed_to = False
    try:
        yield folder
    except ExportError as error:
        pointed_to = str(error).rpartition(" ")[2].startswith(str(folder))  # the log is named last
        raise
    finally:
        if not pointed_to:
            shutil.rmtree(folder, ignore_errors=True)
