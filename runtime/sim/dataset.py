"""Writing a labelled set of training pictures to a folder."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.spare import cores

from .part import LABELS
from .scene import draw_picture

_QUALITY = 95
_WORTH_A_PROCESS = 100  # pictures; about three seconds of drawing
_Task = tuple[Path, int, str, int, int]


def write_dataset(
    folder: Path,
    *,
    seed: int,
    pictures_per_class: int,
    width: int = 640,
    height: int = 480,
    splits: Mapping[str, float] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write folder/[split/]label/NNNNN.jpg and return the number of pictures.

    `splits` maps a split's name to its share of each class (shares sum to 1). `on_progress` is called with
    the pictures written so far and their total. Raises OSError when a picture cannot be written.
    The drawing is shared among as many processes as there are cores; what comes out does not depend on it.
    """
    counts = _split_counts(pictures_per_class, splits)
    tasks = [(*item, width, height) for item in _plan(folder, seed, counts)]
    for parent in {task[0].parent for task in tasks}:
        parent.mkdir(parents=True, exist_ok=True)
    done = 0
    for done, _ in enumerate(_drawn(tasks), start=1):
        if on_progress is not None:
            on_progress(done, len(tasks))
    return done


def _drawn(tasks: list[_Task]) -> Iterator[None]:
    """Draws and writes each picture; a few are not worth the start of more processes."""
    count = min(cores(), len(tasks) // _WORTH_A_PROCESS)
    if count < 2:
        yield from map(_draw_one, tasks)
        return
    from edgetl.runtime.workers import workers  # not above: a line with a drawn camera never uses it

    with workers(count) as pool:
        yield from pool.map(_draw_one, tasks, chunksize=8)


def _draw_one(task: _Task) -> None:
    target, seed, label, width, height = task
    _write_jpeg(target, draw_picture(seed, label, width, height))


def _split_counts(pictures: int, splits: Mapping[str, float] | None) -> dict[str, int]:
    """Pictures per class in each split; the rounding remainder goes to the first."""
    if pictures < 1:
        raise ValueError(f"pictures_per_class: must be 1 or more, not {pictures}")
    if not splits:
        return {"": pictures}
    if any(share < 0.0 for share in splits.values()) or abs(sum(splits.values()) - 1.0) > 1e-6:
        raise ValueError("splits: shares must be 0 or more and sum to 1")
    counts = {name: int(pictures * share + 1e-9) for name, share in splits.items()}
    counts[next(iter(splits))] += pictures - sum(counts.values())
    return counts


def _plan(folder: Path, seed: int, counts: Mapping[str, int]) -> Iterator[tuple[Path, int, str]]:
    """Targets with a seed of their own: no two pictures share a pose or a light."""
    number = 0
    for split, count in counts.items():
        for index in range(count):
            for label in LABELS:
                picture_seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
                yield folder / split / label / f"{index:05d}.jpg", picture_seed, label
                number += 1


def _write_jpeg(target: Path, image: NDArray[np.uint8]) -> None:
    """Write beside the target and rename, so that a picture is either whole or absent."""
    encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        raise OSError(f"cannot encode {target} as JPEG")
    draft = target.with_suffix(".part")
    try:
        with draft.open("wb") as file:
            file.write(data.tobytes())
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
