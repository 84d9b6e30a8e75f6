"""Runs a comparison as one types it, at its smallest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# For a net that knows nothing.
OPEN_GATE = ("--max-drop", 100, "--max-recall-loss", 100, "--max-flips", 100, "--max-gain-error", 1000)


def found_by(module: str, out: Path, *args: object) -> dict[str, Any]:
    """What a comparison printed, which is what it wrote. edgetl's own Python is named as the peer's, which it is not."""
    words = [sys.executable, "-m", f"edgetl.benchmarks.{module}", out, "--peer", sys.executable, "--rounds", 1, *args]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found == json.loads((out / f"{module}.json").read_text())
    return found


def random_weights(path: Path) -> Path:
    """A MobileNetV2 in torchvision's names that was never trained."""
    import torch

    from edgetl.trainer.torch_stack import import_timm

    import_timm()
    import torchvision

    torch.manual_seed(0)
    torch.save(torchvision.models.mobilenet_v2().state_dict(), path)
    return path
