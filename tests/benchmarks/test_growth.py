"""Growth is told by its power, and the line's cost is measured on real processes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from edgetl.benchmarks.growth import Point, by_regions, curve, regions, write_pictures
from tests.runtime import tiny


@pytest.mark.parametrize(("power", "steep"), [(1.0, False), (2.0, True), (0.5, False)])
def test_power_of_growth_is_found(power: float, steep: bool) -> None:
    found = curve("x", "pictures", [Point(n, 0.01 * n**power, 100.0) for n in (100, 200, 400)])
    assert found.exponents == (pytest.approx(power), 0.0)
    assert found.steep is steep


def test_memory_that_grows_too_fast_is_steep_as_well() -> None:
    assert curve("x", "pictures", [Point(10, 1.0, 10.0), Point(20, 1.0, 40.0)]).steep


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_regions_lie_side_by_side_within_the_frame(count: int) -> None:
    boxes = [region["box"] for region in regions(count)]
    assert len({tuple(box) for box in boxes}) == count
    assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)
    area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes)
    assert area <= 1.001


def test_pictures_are_of_each_class_in_both_splits(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", 30, 3)
    for label in ("class000", "class001", "class002"):
        assert len(list((folder / "train" / label).iterdir())) == 8
        assert len(list((folder / "test" / label).iterdir())) == 2
    pictures = [cv2.imread(str(path)) for path in sorted(folder.rglob("*.jpg"))]
    assert len({picture.tobytes() for picture in pictures}) == 30


def test_regions_of_a_frame_are_measured_by_the_real_command(tmp_path: Path) -> None:
    bundle = tiny.write(tmp_path / "part.edgetl")
    (found,) = by_regions(tmp_path, bundle, (1, 4), frames=6)
    assert [point.size for point in found.points] == [1, 4]
    assert all(point.seconds > 0 and point.peak_mb > 20 for point in found.points)
    assert json.loads((tmp_path / "regions-4.yaml").read_text())["regions"][3]["name"] == "region 3"
