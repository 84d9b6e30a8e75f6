"""Draws all the pictures of a pretraining once, in several processes, into memory-mapped arrays."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import storage
from edgetl.runtime.workers import workers
from edgetl.trainer.pretraining.pictures import GRID, HEADS, draw_picture

_CHUNK = 256  # pictures that a task draws


class Pool(msgspec.Struct):
    """`images` n×S×S×3 uint8 RGB (memory-mapped), `labels` n×heads int64, `where` n×GRID×GRID uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    where: NDArray[np.uint8]


class _Task(msgspec.Struct, frozen=True):
    path: Path
    shape: tuple[int, int, int, int]
    first_seed: int
    formulas: int
    start: int


def draw_pool(
    folder: Path, count: int, size: int, formulas: int, seed: int, processes: int,
    progress: Callable[[int], object] = lambda done: None,
) -> Pool:  # fmt: skip
    """The `count` pictures of a seed, whatever the number of processes; `progress` is told how many are drawn."""
    path, shape = folder / "pictures.bin", (count, size, size, 3)
    with storage(folder):
        np.memmap(path, np.uint8, "w+", shape=shape).flush()
    labels, where = np.zeros((count, len(HEADS)), np.int64), np.zeros((count, GRID, GRID), np.uint8)
    tasks = [_Task(path, shape, seed << 32, formulas, start) for start in range(0, count, _CHUNK)]
    with workers(processes, _begin) as executor:
        for task, (its_labels, its_where) in zip(tasks, executor.map(_draw, tasks), strict=True):
            end = task.start + len(its_labels)
            labels[task.start : end], where[task.start : end] = its_labels, its_where
            progress(end)
    return Pool(np.memmap(path, np.uint8, "r", shape=shape), labels, where)


def _begin() -> None:
    """A worker takes one core, and ends with the process that started it, however that one ends."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _draw(task: _Task) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    images = np.memmap(task.path, np.uint8, "r+", shape=task.shape)
    rows = range(task.start, min(task.start + _CHUNK, task.shape[0]))
    drawn = [draw_picture(task.first_seed + row, task.shape[1], task.formulas) for row in rows]
    for row, one in zip(rows, drawn, strict=True):
        images[row] = one.image
    return np.array([one.labels for one in drawn], np.int64), np.stack([one.where for one in drawn])
