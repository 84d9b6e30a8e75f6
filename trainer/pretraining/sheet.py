"""A contact sheet: what a pretraining learns from, to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgetl.errors import UsageError
from edgetl.runtime.files import write_file
from edgetl.trainer.pretraining import formulas
from edgetl.trainer.pretraining.pictures import draw_picture
from edgetl.trainer.pretraining.plan import Plan

COLUMNS, ROWS = 16, 8  # of pictures; above them a row of drawings of each family


def write_sheet(path: Path, plan: Plan) -> None:
    """Writes two formulas of each family, and below them the first pictures of the plan. Raises UsageError."""
    size, families = plan.imgsz, range(len(formulas.FAMILIES))
    drawings = [[formulas.tile(n + row * len(families), 0) for n in families] for row in range(2)]
    above = [np.hstack([cv2.resize(d, (size, size), interpolation=cv2.INTER_AREA) for d in row]) for row in drawings]
    first = plan.seed << 32
    pictures = [draw_picture(first + n, size, plan.formulas).image for n in range(ROWS * COLUMNS)]
    below = [np.hstack(pictures[row * COLUMNS : (row + 1) * COLUMNS]) for row in range(ROWS)]
    sheet = np.vstack([*(cv2.cvtColor(row, cv2.COLOR_GRAY2RGB) for row in above), *below])
    if path.suffix not in (".jpg", ".png"):
        raise UsageError(f"--sheet {path}: must end in .jpg or .png")
    write_file(path, cv2.imencode(path.suffix, sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
