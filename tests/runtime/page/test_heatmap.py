"""The heat map finds the spot on which an answer rests, and says so when there is none."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.interpreters.base import Interpreter
from edgetl.runtime.page.gallery import Reject
from edgetl.runtime.page.heat_worker import HeatMap, HeatWorker, said_of
from edgetl.runtime.page.heatmap import GRID, Heat, drawn, heat_of
from edgetl.runtime.preprocess import Image, Preprocessing
from edgetl.runtime.verdict import RegionResult, Verdict

LABELS = ("ok", "spot")
HOW = Preprocessing(size=90)


def model_of_a_spot(image: Image) -> NDArray[np.float32]:
    """Calls a picture `spot` by how much of it is bright."""
    bright = np.clip(image.astype(np.float32) - 150, 0, None).sum() / 100
    return np.array([20.0, bright], np.float32)


def picture_with_spot(x: int, y: int) -> Image:
    image = np.full((90, 90, 3), 50, np.uint8)
    image[y - 3 : y + 4, x - 3 : x + 4] = 250
    return image


@pytest.mark.parametrize(("x", "y"), [(15, 75), (45, 45), (80, 10), (30, 40)])
def test_heat_is_where_the_answer_rests(x: int, y: int) -> None:
    heat = heat_of(picture_with_spot(x, y), model_of_a_spot)
    assert LABELS[heat.label] == "spot" and heat.margin == 127
    row, column = np.unravel_index(int(heat.drops.argmax()), heat.drops.shape)
    assert abs((column + 0.5) * 90 / GRID - x) <= 10 and abs((row + 0.5) * 90 / GRID - y) <= 10
    assert heat.worst > 100
    image = drawn(picture_with_spot(x, y), heat)
    assert image.shape == (90, 90, 3)
    warm = image[:, :, 2].astype(int) - image[:, :, 0]
    assert warm[y, x] > 60 and abs(int(warm[(y + 45) % 90, (x + 45) % 90])) < 25


def test_picture_without_a_spot_has_no_heat() -> None:
    heat = heat_of(np.full((90, 90, 3), 50, np.uint8), model_of_a_spot)
    assert LABELS[heat.label] == "ok" and heat.worst == 0
    assert "no single spot" in said_of(heat, LABELS)
    image = drawn(np.full((90, 90, 3), 50, np.uint8), heat)
    assert abs(image.astype(int) - 50).max() <= 2


def test_words_name_the_label_and_the_share() -> None:
    some, all_of_it = (Heat(1, 10.0, np.full((GRID, GRID), drop)) for drop in (6.0, 12.0))
    assert said_of(some, LABELS) == "spot: blurring the brightest spot costs 60 % of the answer's margin"
    assert said_of(all_of_it, LABELS) == "spot: blurring the brightest spot overturns the answer"


class SpotModel:
    """An interpreter in the one respect that matters here."""

    def logits(self, image: Image) -> NDArray[np.float32]:
        return model_of_a_spot(image)


def reject(image: Image, sequence: int = 1, region: RegionResult | None = None) -> Reject:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    verdict = Verdict(
        sequence=sequence, verdict="NG", label="spot", source="cam", frame=0, time_s=0, latency_ms=1,
        **({"regions": (region,)} if region else {}),
    )  # fmt: skip
    return Reject(verdict, data.tobytes(), b"", image.shape[1])


def finished(worker: HeatWorker, kept: Reject) -> HeatMap:
    deadline = time.monotonic() + 60
    while (made := worker.ask(kept.verdict.sequence, kept)) is None:
        assert time.monotonic() < deadline, "no heat map in time"
        time.sleep(0.01)
    return made


def worker_of(load: object) -> HeatWorker:
    return HeatWorker(load, HOW, LABELS)  # type: ignore[arg-type]


def test_worker_makes_maps_in_the_background_and_keeps_them() -> None:
    loaded: list[Interpreter] = []

    def load() -> SpotModel:
        loaded.append(SpotModel())  # type: ignore[arg-type]
        return SpotModel()

    worker = worker_of(load)
    kept = reject(picture_with_spot(45, 45))
    assert worker.ask(kept.verdict.sequence, kept) is None
    made = finished(worker, kept)
    assert made.said.startswith("spot: ") and made.picture[:2] == b"\xff\xd8"
    assert finished(worker, kept) is made
    finished(worker, reject(picture_with_spot(20, 20), 2))
    assert worker.ask(1, None) is made  # though the picture is no longer kept
    gone = worker.ask(3, None)
    assert gone is not None and gone.picture == b"" and "no longer kept" in gone.said
    worker.close()
    assert len(loaded) == 1


def test_map_of_a_region_is_made_of_that_region() -> None:
    wide = np.full((90, 180, 3), 50, np.uint8)
    wide[:, 90:] = picture_with_spot(45, 45)
    wide[10:30, 10:30] = 255  # more of it, and not in the region
    region = RegionResult(name="right", verdict="NG", label="spot", score=0.9, expected=("ok",), box=(90, 0, 180, 90))
    worker = worker_of(SpotModel)
    made = finished(worker, reject(wide, region=region))
    worker.close()
    image = cv2.imdecode(np.frombuffer(made.picture, np.uint8), cv2.IMREAD_COLOR)
    warm = image[:, :, 2].astype(int) - image[:, :, 0]
    row, column = np.unravel_index(int(cv2.blur(warm.astype(np.float32), (9, 9)).argmax()), warm.shape)
    assert abs(int(row) - 45) < 14 and abs(int(column) - 45) < 14


def test_lost_frame_and_refused_model_are_said_in_words() -> None:
    def refuses() -> SpotModel:
        raise ModelError("model/int8.tflite: the interpreter refused the model")

    worker = worker_of(refuses)
    made = finished(worker, reject(picture_with_spot(9, 9)))
    assert made.picture == b"" and "refused" in made.said
    worker.close()
    lost = reject(picture_with_spot(9, 9))
    worker = worker_of(SpotModel)
    made = finished(worker, Reject(lost.verdict, b"", b"", 0))
    assert made.picture == b"" and "lost" in made.said
    worker.close()


def test_worker_that_was_never_asked_closes(tmp_path: Path) -> None:
    worker_of(SpotModel).close()
