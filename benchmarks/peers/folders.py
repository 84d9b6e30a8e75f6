"""The pictures of a run in the folders that other programs read, so that all learn from the same ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path


def in_folders(run: Path, data: Path, out: Path, under: Mapping[str, str]) -> Path:
    """Links the pictures of a finished run as `out`/SPLIT/CLASS/…; `under` names the folder for each of the run's splits, and for
    `calibration` if what calibrates is to lie apart from what only trains. Returns `out`."""
    shutil.rmtree(out, ignore_errors=True)
    for sample in json.loads((run / "splits.json").read_text()):
        split = "calibration" if sample.get("calibrates") and "calibration" in under else sample["split"]
        if split in under:
            own = sample["path"].replace("/", "_")  # two folders may hold pictures of one name
            link = out / under[split] / sample["label"] / own
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((data / sample["path"]).resolve())
    return out
