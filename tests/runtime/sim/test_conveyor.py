"""The conveyor: one barrier signal per part, centred, with its truth; reproducible frames."""

from collections import Counter
from itertools import islice

import cv2
import numpy as np
import pytest

from edgetl.runtime.sim import LABELS, Conveyor, ConveyorSettings, SimFrame


def settings(**changes: object) -> ConveyorSettings:
    return ConveyorSettings(**{"width": 320, "height": 240, **changes})  # type: ignore[arg-type]


def catches(conveyor: Conveyor) -> list[SimFrame]:
    return [frame for frame in conveyor.frames() if frame.part is not None]


def part_centre(image: np.ndarray) -> tuple[float, float]:
    """Middle of the bright blob nearest to the frame's centre, in frame heights from the centre."""
    height, width = image.shape[:2]
    # Otsu's threshold: the lamp leaves one side of a part much darker than the other, a fixed one would cut it off.
    _, bright = cv2.threshold(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    reach = int(0.44 * height)
    middle = bright[:, width // 2 - reach : width // 2 + reach]
    columns = np.nonzero(middle.sum(axis=0) > 0.04 * height)[0]
    rows = np.nonzero(middle.sum(axis=1) > 0.04 * height)[0]
    across = (columns.min() + columns.max()) / 2 - reach
    return across / height, ((rows.min() + rows.max()) / 2 - height / 2) / height


@pytest.mark.parametrize("rate", [30, 60, 300])
def test_each_part_fires_the_barrier_once_and_in_order(rate: int) -> None:
    conveyor = Conveyor(settings(seed=4, parts=6, parts_per_minute=rate))
    frames = catches(conveyor)
    assert [frame.part for frame in frames] == [1, 2, 3, 4, 5, 6]
    gaps = np.diff([frame.time_s for frame in frames])
    assert np.abs(gaps - 60.0 / rate).max() < 0.05 * 60.0 / rate + 1.0 / 30.0
    assert {conveyor.truth(part) for part in range(1, 7)} <= set(LABELS)


@pytest.mark.parametrize("rate", [60, 300])
def test_part_is_centred_when_it_fires(rate: int) -> None:
    step = 0.96 * rate / 60.0 / 30.0
    for frame in catches(Conveyor(settings(seed=8, parts=5, parts_per_minute=rate, defect_share=0.0))):
        across, down = part_centre(frame.image)
        assert abs(across) < step / 2 + 0.03
        assert abs(down) < 0.06


def test_run_starts_and_ends_with_an_empty_belt() -> None:
    frames = list(Conveyor(settings(seed=2, parts=1, defect_share=0.0)).frames())
    caught = next(frame for frame in frames if frame.part == 1)
    for frame in (frames[0], frames[-1]):
        assert frame.part is None
        assert frame.image.mean() < 0.85 * caught.image.mean()
    assert [frame.time_s for frame in frames[:3]] == pytest.approx([0.0, 1 / 30, 2 / 30])


def test_endless_run_goes_on() -> None:
    frames = islice(Conveyor(settings(parts=None, parts_per_minute=300)).frames(), 120)
    assert sum(frame.part is not None for frame in frames) >= 15


def test_same_settings_give_the_same_bytes() -> None:
    first, second = (Conveyor(settings(seed=3, parts=2)) for _ in range(2))
    again = first.frames()
    for a, b, c in zip(first.frames(), second.frames(), again, strict=True):
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.image, c.image)
        assert (a.time_s, a.part) == (b.time_s, b.part)


def test_different_seeds_give_different_frames() -> None:
    one, other = (next(Conveyor(settings(seed=seed)).frames()).image for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_frames_do_not_share_memory() -> None:
    first, second = islice(Conveyor(settings()).frames(), 2)
    before = second.image.copy()
    first.image[:] = 0
    assert np.array_equal(second.image, before)


def test_defect_share_is_respected() -> None:
    conveyor = Conveyor(settings(seed=6, defect_share=0.3))
    counts = Counter(conveyor.truth(part) for part in range(1, 2001))
    assert counts["ok"] == pytest.approx(1400, abs=80)
    assert all(counts[label] == pytest.approx(150, abs=50) for label in LABELS[1:])


@pytest.mark.parametrize(("share", "labels"), [(0.0, {"ok"}), (1.0, set(LABELS[1:]))])
def test_extreme_defect_shares(share: float, labels: set[str]) -> None:
    conveyor = Conveyor(settings(defect_share=share))
    assert {conveyor.truth(part) for part in range(1, 101)} == labels


def test_truth_knows_only_parts_on_the_belt() -> None:
    conveyor = Conveyor(settings(parts=3))
    for part in (0, 4):
        with pytest.raises(ValueError, match=f"no part {part}"):
            conveyor.truth(part)


def test_light_dims_and_drifts() -> None:
    def mean(index: int, **changes: object) -> float:
        frame = next(islice(Conveyor(settings(parts=1, **changes)).frames(), index, None))
        return float(frame.image.mean())

    assert mean(0, light=0.5) < 0.8 * mean(0)
    assert mean(40, light_drift_per_minute=-20.0) < 0.85 * mean(40)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("parts", 0),
        ("parts_per_minute", 0.0),
        ("parts_per_minute", float("nan")),
        ("parts_per_minute", 1000.0),
        ("fps", -1.0),
        ("width", 10),
        ("height", 100_000),
        ("defect_share", 1.5),
        ("light", 0.0),
        ("light_drift_per_minute", float("inf")),
    ],
)
def test_settings_name_the_wrong_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field}: must ") as caught:
        settings(**{field: value})
    assert "\n" not in str(caught.value)
