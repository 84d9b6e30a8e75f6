"""Writes interpreter and threads into a device's settings; comments, order and everything else stay as they were."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from edgetl.errors import EdgetlError, UsageError
from edgetl.runtime.config.yaml_record import load_record, read_record
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.files import write_file

OLD_SUFFIX = ".previous"


def fix(path: Path, interpreter: str, threads: int) -> bool:
    """Sets both in the file; the file before is kept as NAME.previous. False if they were set so already.

    Raises UsageError for a file that is no device's settings, EdgetlError where it cannot be changed safely.
    """
    before = load_record(path, DeviceConfig)
    wanted = msgspec.convert(
        {**msgspec.to_builtins(before), "interpreter": interpreter, "threads": threads}, DeviceConfig
    )
    if wanted == before:
        return False
    text = path.read_text("utf-8-sig")
    new = edited(edited(text, "interpreter", interpreter), "threads", str(threads))
    try:
        came_out = read_record(new, DeviceConfig, str(path)) == wanted
    except UsageError:
        came_out = False
    if not came_out:
        raise EdgetlError(
            f"{path}: its form is not one that can be changed safely; write interpreter: {interpreter} and threads: {threads} into it"
        )
    write_file(path.with_name(path.name + OLD_SUFFIX), text)
    write_file(path, new)
    return True


def edited(text: str, key: str, value: str) -> str:
    """A YAML text whose top-level `key` has a plain value; what stands behind it as a comment stays."""
    line = re.compile(rf"^{re.escape(key)}:[^\S\n]*[^#\n]*?(?P<comment>[^\S\n]+#[^\n]*)?$", re.MULTILINE)
    if line.search(text):
        return line.sub(lambda found: f"{key}: {value}{found['comment'] or ''}", text, count=1)
    return f"{text.rstrip()}\n{key}: {value}\n"
