"""A part seen in the picture itself: it enters once, leaves once, and the lamp is no part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgetl.errors import UsageError
from edgetl.runtime.parts.presence import PictureGate, Presence
from edgetl.runtime.parts.settings import PictureTrigger
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sim import Conveyor, ConveyorSettings
from edgetl.runtime.sources import open_source
from edgetl.runtime.sources.base import Frame

NOISE = np.random.default_rng(5)


def belt(light: float = 1.0) -> Image:
    """A grey belt, 160×120, with the noise of a camera."""
    return np.clip(90 * light + NOISE.normal(0, 4, (120, 160, 3)), 0, 255).astype(np.uint8)


def with_part(at: int, light: float = 1.0) -> Image:
    """The belt with a pale disc whose middle is in that column."""
    return np.asarray(cv2.circle(belt(light), (at, 60), 22, (200, 190, 180), -1), np.uint8)


def steps(
    gate: PictureGate, pictures: Iterator[Image] | list[Image | None]
) -> list[tuple[int | None, bool, list[int]]]:
    said = []
    for index, image in enumerate(pictures):
        fault = "no picture" if image is None else None
        step = gate.step(Frame(index, "f", image, index / 30, index / 30, fault))
        said.append((step.part.part if step.part else None, step.last, [m.part for m in step.ended]))
    return said


def passing(light: float = 1.0) -> list[Image]:
    """A part from left to right in 24 frames, with an empty belt before and after."""
    return [belt(light)] * 6 + [with_part(x, light) for x in range(-30, 190, 9)] + [belt(light)] * 6


def test_part_that_passes_is_one_part_with_its_frames() -> None:
    gate = PictureGate(PictureTrigger(learn_frames=3, frames=3))
    said = steps(gate, passing() * 3)
    assert Counter(part for part, _, _ in said if part) == {1: 3, 2: 3, 3: 3}
    assert sum(last for _, last, _ in said) == 3
    assert all(not ended for *_, ended in said)


def test_part_that_leaves_early_ends_with_what_it_has() -> None:
    gate = PictureGate(PictureTrigger(learn_frames=3, frames=1000))
    said = steps(gate, passing() + passing())
    assert [ended for *_, ended in said if ended] == [[1], [2]]
    assert not any(last for _, last, _ in said)


def test_flicker_and_slow_light_are_no_parts() -> None:
    gate = PictureGate(PictureTrigger(learn_frames=3))
    lights = [1.0] * 5 + [1.0 + 0.15 * np.sin(n) for n in range(100)] + [1.0 + n / 200 for n in range(200)]
    assert all(part is None for part, _, _ in steps(gate, [belt(light) for light in lights]))
    assert Counter(p for p, _, _ in steps(gate, passing(2.0)) if p) == {1: 3}, "and then a part is still seen"


def test_part_at_rest_stays_one_part_and_never_becomes_the_belt() -> None:
    gate = PictureGate(PictureTrigger(learn_frames=3, frames=2))
    said = steps(gate, [belt()] * 5 + [with_part(80)] * 500 + [belt()] * 5 + [with_part(80)] * 5)
    assert Counter(part for part, _, _ in said if part) == {1: 2, 2: 2}


def test_lost_frames_change_nothing_about_what_is_there() -> None:
    gate = PictureGate(PictureTrigger(learn_frames=3, frames=3, settle_frames=1))
    said = steps(
        gate, [belt()] * 4 + [None, with_part(80), None, None, with_part(80), with_part(80), None, belt(), None]
    )
    assert [part for part, _, _ in said if part] == [1, 1, 1], "a lost frame is one of the part's frames"


def test_empty_belt_can_be_given_as_a_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "empty.png"), belt())
    gate = PictureGate(PictureTrigger(empty=str(tmp_path / "empty.png"), settle_frames=1, frames=1))
    assert steps(gate, [with_part(80), belt(), with_part(80)]) == [(1, True, []), (None, False, []), (2, True, [])]


def test_thresholds_apart_keep_a_part_at_the_edge_from_counting_twice() -> None:
    presence = Presence(enter_share=0.10, leave_share=0.05, settle_frames=2)
    shares = [0.0, 0.11, 0.04, 0.11, 0.12, 0.07, 0.09, 0.04, 0.11, 0.04, 0.03, 0.0]
    assert [presence.see(s) for s in shares] == [False] * 4 + [True] * 6 + [False] * 2


def test_shares_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(UsageError, match="leave_share"):
        PictureTrigger(enter_share=0.02, leave_share=0.05)


def test_every_drawn_part_is_seen_once_by_the_picture_alone() -> None:
    """300 parts a minute touch each other nearly: the gap is a strip of 0.3 of the frame's height."""
    settings = ConveyorSettings(parts=25, parts_per_minute=300, width=320, height=240, seed=3)
    trigger = PictureTrigger(zone=(0.45, 0.2, 0.55, 0.8), learn_frames=2, settle_frames=1, frames=2)
    gate, found = PictureGate(trigger), Counter[int]()
    for index, shot in enumerate(Conveyor(settings).frames()):
        step = gate.step(Frame(index, "sim", shot.image, shot.time_s, shot.time_s))
        found.update([step.part.part] if step.part else [])
    assert found == Counter(dict.fromkeys(range(1, 26), 2))


# What a person counts: a bolt and four fruits that pass the middle, a bottle that stands at the left or is put there
# three times, while shadows of hands and the camera's exposure come and go: hence more contrast.
@pytest.mark.parametrize(
    ("clip", "parts", "settings"),
    [
        ("bolt-multi-size-detection.gif", 1, {}),
        ("fruit-and-vegetable-detection.gif", 4, {}),
        ("bottle-detection.mp4", 3, {"zone": (0.05, 0.0, 0.25, 1.0), "contrast": 40}),
    ],
)
def test_parts_in_real_clips(data_root: Path, tmp_path: Path, clip: str, parts: int, settings: dict[str, Any]) -> None:
    source, frames = open_source(str(data_root / "clips" / clip)), []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    if clip.startswith("bottle"):  # the clip begins with a bottle there
        cv2.imwrite(str(tmp_path / "empty.png"), frames[300].image)
        settings = {**settings, "empty": str(tmp_path / "empty.png")}
    gate = PictureGate(PictureTrigger(learn_frames=4, frames=2, **settings))
    found = {step.part.part for step in map(gate.step, frames) if step.part is not None}
    assert len(found) == parts
