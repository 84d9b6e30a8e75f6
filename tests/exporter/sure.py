"""Pictures that only the order of the channels tells apart, for a small net that knows its classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

CLASSES = {"blue": (90, 60, 60), "green": (60, 90, 60), "red": (60, 60, 90)}  # BGR, under any light
SPLITS = {"train": 60, "test": 10}


class Sure(NamedTuple):
    """A run whose int8 passes the gate as it stands, its bundle, and the folder with the files that the real converter
    made."""

    run: Path
    bundle: Path
    earlier: Path


def draw(folder: Path) -> None:
    """Pictures of one tint each, at many brightnesses and with noise."""
    random = np.random.default_rng(0)
    for split, count in SPLITS.items():
        for label, tint in CLASSES.items():
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                light = random.uniform(0.5, 2.2) * np.array(tint, np.float64)
                noise = random.normal(0, 12, (40, 48, 3)) + random.normal(0, 25, (5, 6, 1)).repeat(8, 0).repeat(8, 1)
                picture = np.clip(light + noise, 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / split / label / f"{number:03d}.png"), picture)
