"""Old, frozen and misshapen frames are told, over time that only passes on paper."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame
from edgetl.runtime.trust import Trust, TrustSettings


class Feed:
    """A source by its facts."""

    name = "camera"
    triggered = False

    def __init__(self, live: bool = True, still_limit_s: float | None = 1.0) -> None:
        self.live = live
        if still_limit_s is not None:
            self.still_limit_s = still_limit_s

    def read(self) -> Frame | None:
        return None

    def close(self) -> None:
        pass


RNG = np.random.default_rng(0)


def noisy(width: int = 64, height: int = 48) -> Image:
    """A grey wall through a sensor: noise of a grey level or two."""
    return np.clip(RNG.normal(120, 1.5, (height, width, 3)), 0, 255).astype(np.uint8)


def doubts(
    images: list[Image], *, feed: Feed | None = None, settings: TrustSettings | None = None, age_s: float = 0.0,
    every_s: float = 0.1,
) -> list[str | None]:  # fmt: skip
    """What is said of these pictures, one every `every_s`, each looked at `age_s` after it came."""
    now = [0.0]
    trust = Trust(settings or TrustSettings(), None, feed or Feed(), clock=lambda: now[0])
    said = []
    for number, image in enumerate(images):
        arrived_s = number * every_s
        now[0] = arrived_s + age_s
        doubt = trust.frame(Frame(number, "f", image, arrived_s, arrived_s))
        said.append(None if doubt is None else f"{doubt.kind} {doubt.reason}")
    return said


def test_fresh_frames_that_change_pass() -> None:
    assert doubts([noisy() for _ in range(50)]) == [None] * 50


def test_old_frame_is_a_fault() -> None:
    (said,) = doubts([noisy()], age_s=2.5)
    assert said == "FAULT the frame is 2.5 s old, more than 2 s"
    assert doubts([noisy()], age_s=2.5, settings=TrustSettings(max_age_s=3)) == [None]
    assert doubts([noisy()], age_s=1000, feed=Feed(live=False)) == [None]  # a file may be read late


@pytest.mark.fault("C6")
def test_camera_that_repeats_one_picture_is_unknown_until_it_moves() -> None:
    image = noisy()
    said = doubts([image.copy() for _ in range(30)] + [noisy(), noisy()])
    assert said[:10] == [None] * 10  # for one second a duplicate may be one
    assert all(str(s).startswith("UNKNOWN the picture has stood still for") for s in said[11:30])
    assert said[30:] == [None, None]


@pytest.mark.fault("C6")
def test_one_grey_level_in_one_place_of_a_sampled_row_is_life() -> None:
    image = noisy()
    frames = []
    for number in range(40):
        alive = image.copy()
        alive[16, 5, 0] ^= number % 2
        frames.append(alive)
    assert doubts(frames) == [None] * 40


def test_stillness_is_told_of_cameras_only_and_can_be_switched_off() -> None:
    still = [noisy()] * 300
    assert doubts(still, feed=Feed(still_limit_s=None)) == [None] * 300
    assert doubts(still, settings=TrustSettings(frozen_after_s=0)) == [None] * 300
    video = doubts(still, feed=Feed(still_limit_s=10.0))
    assert (video[99], str(video[101])[:7]) == (None, "UNKNOWN")
    own = doubts(still, settings=TrustSettings(frozen_after_s=3))
    assert (own[29], str(own[31])[:7]) == (None, "UNKNOWN")


@pytest.mark.fault("C7")
def test_another_shape_is_a_fault_and_another_resolution_is_not() -> None:
    said = doubts([noisy(), noisy(128, 96), noisy(80, 45), noisy(43, 32), noisy()])
    assert said == [None, None, "FAULT the camera changed its picture from 64×48 to 80×45", None, None]
