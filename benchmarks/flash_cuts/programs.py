"""Programs that must do what they are told."""

from __future__ import annotations

import subprocess

from edgetl.errors import UsageError


def do(*command: str) -> None:
    """Runs one. Raises UsageError with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UsageError(f"{command[0]}: {done.stderr.strip()}")
