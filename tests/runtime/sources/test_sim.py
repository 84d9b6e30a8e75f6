"""`sim:` as a source: its settings, its pace, its truth."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgetl.errors import UsageError
from edgetl.runtime.sources import Frame
from edgetl.runtime.sources.sim import SimSource

SMALL = "width=160,height=120"


def read_all(source: SimSource) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def test_address_sets_what_it_names() -> None:
    source = SimSource.from_address("sim:parts=7,parts_per_minute=120,seed=5,defect_share=0.5,pace=fast")
    assert (source.settings.parts, source.settings.parts_per_minute) == (7, 120.0)
    assert (source.settings.seed, source.settings.defect_share, source.live) == (5, 0.5, False)
    assert SimSource.from_address("sim:").live


def test_each_part_is_marked_on_one_frame() -> None:
    frames = read_all(SimSource.from_address(f"sim:parts=5,parts_per_minute=300,pace=fast,{SMALL}"))
    assert [frame.part for frame in frames if frame.part is not None] == [1, 2, 3, 4, 5]
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(frame.image is not None and frame.image.shape == (120, 160, 3) for frame in frames)


def test_pace_changes_the_clock_and_not_the_frames() -> None:
    fast, real = (
        SimSource.from_address(f"sim:parts=1,parts_per_minute=600,pace={p},{SMALL}") for p in ("fast", "real")
    )
    start = time.monotonic()
    slow_frames = read_all(real)
    took = time.monotonic() - start
    fast_frames = read_all(fast)
    assert took >= slow_frames[-1].time_s
    assert [f.time_s for f in fast_frames] == [f.time_s for f in slow_frames]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(fast_frames, slow_frames, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sim:speed=3", "unknown setting 'speed'; choose from pace, seed"),
        ("sim:parts", "parts='' is not a number"),
        ("sim:parts=many", "parts='many' is not a number"),
        ("sim:parts=1.5", "parts='1.5' is not a number"),
        ("sim:parts=0", "parts: must be 1 or more"),
        ("sim:fps=nan", "fps: must be a positive number"),
        ("sim:parts_per_minute=100000", "parts_per_minute"),
        ("sim:width=9999999", "width"),
        ("sim:pace=slow", "pace must be real or fast, got 'slow'"),
    ],
)
def test_wrong_setting_is_named(address: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        SimSource.from_address(address)
    assert words in str(caught.value)
