"""Drawn parts for training from good ones alone: a ring on a brushed plate; a bad one has a dark scratch somewhere."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgetl.runtime.preprocess import Image

SIDE = 96


def part(seed: int, *, scratched: bool = False) -> Image:
    """One part as a camera over a fixture sees it: some light, some noise, a few pixels off."""
    random = np.random.default_rng(seed)
    grain = cv2.blur(random.normal(0, 10, (SIDE, SIDE)).astype(np.float32), (15, 1))
    image = np.repeat((150 + 4 * random.normal() + grain)[:, :, None], 3, axis=2)
    image = np.clip(image, 0, 255).astype(np.uint8)
    middle = tuple(int(v) for v in SIDE // 2 + random.integers(-2, 3, 2))
    cv2.circle(image, middle, 26, (90, 95, 100), 6, cv2.LINE_AA)
    if scratched:
        at, angle = random.integers(24, SIDE - 24, 2), random.uniform(0, np.pi)
        reach = 11 * np.array([np.cos(angle), np.sin(angle)])
        ends = [tuple(int(v) for v in at + sign * reach) for sign in (-1, 1)]
        cv2.line(image, ends[0], ends[1], (25, 20, 30), 3, cv2.LINE_AA)
    noisy = image + random.normal(0, 2, image.shape)
    drawn: Image = np.clip(noisy, 0, 255).astype(np.uint8)
    return drawn


def write(folder: Path, count: int, first: int, *, scratched: bool = False) -> None:
    """Writes so many parts as PNG; `first` keeps the seeds of different folders apart."""
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.png"), part(first + number, scratched=scratched))


def write_set(root: Path, train: int = 60, val: int = 24, test: int = 60) -> Path:
    """A data set with good parts in every split, and bad ones in val and test."""
    write(root / "train/good", train, 0)
    write(root / "val/good", val, 1000)
    write(root / "val/scratched", 12, 2000, scratched=True)
    write(root / "test/good", test, 3000)
    write(root / "test/scratched", 20, 4000, scratched=True)
    return root
