"""Frames' memory is used again, and never while somebody looks at it."""

from __future__ import annotations

import gc

import numpy as np

from edgetl.runtime.sources.pool import FramePool

SHAPE = (48, 64, 3)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_of_a_frame_that_is_gone_is_used_again() -> None:
    pool = FramePool()
    first = pool.take(SHAPE)
    place = address(first)
    del first
    gc.collect()
    assert address(pool.take(SHAPE)) == place


def test_frame_or_a_part_of_it_that_is_held_is_left_alone() -> None:
    pool = FramePool()
    frame = pool.take(SHAPE)
    frame[:] = 7
    part = frame[10:20, ::2].reshape(-1)[5:]
    del frame
    others = [pool.take(SHAPE) for _ in range(5)]
    for other in others:
        other[:] = 9
    assert (part == 7).all()


def test_frames_may_change_their_size() -> None:
    pool = FramePool()
    pool.take(SHAPE)
    assert pool.take((96, 128, 3)).shape == (96, 128, 3)
    assert pool.take(SHAPE).shape == SHAPE
