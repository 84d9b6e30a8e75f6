"""Heat must lie on the frame where the model saw the anomaly, whatever was cut or padded on the way to it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgetl.runtime.anomaly.drawing import on_frame, strength_of
from edgetl.runtime.preprocess import Preprocessing, preprocess

WAYS: dict[str, dict[str, Any]] = {
    "squash": {},
    "cut to a square": {"resize": "fit-shortest"},
    "padded": {"resize": "fit-longest"},
    "a region": {"region": (0.25, 0.1, 0.9, 0.95)},
    "a region, padded": {"resize": "fit-longest", "region": (0.25, 0.1, 0.9, 0.95)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at", [(180, 100), (230, 160)])
def test_heat_lies_where_the_spot_is(way: str, at: tuple[int, int]) -> None:
    how = Preprocessing(size=96, **WAYS[way])
    frame = np.full((240, 400, 3), 90, np.uint8)
    spotted = frame.copy()
    cv2.circle(spotted, at, 20, (255, 255, 255), cv2.FILLED)
    seen = preprocess(spotted, how).astype(np.float32)[:, :, 0] - preprocess(frame, how)[:, :, 0]
    coarse = cv2.resize(seen, (12, 12), interpolation=cv2.INTER_AREA)
    drawn = on_frame(frame, strength_of(coarse, float(cv2.blur(coarse, (3, 3)).max()) / 1.4), how)
    changed = np.abs(drawn.astype(np.int64) - frame).sum(axis=2)
    rows, columns = np.nonzero(changed > changed.max() / 2)
    assert abs(columns.mean() - at[0]) < 14 and abs(rows.mean() - at[1]) < 14


def test_what_is_near_good_parts_is_not_coloured() -> None:
    assert strength_of(np.full((5, 5), 0.5, np.float32), 1.0).max() == 0
    assert strength_of(np.full((5, 5), 1.0, np.float32), 1.0).max() == pytest.approx(0.5)
