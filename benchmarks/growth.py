"""How time and memory grow: `python -m edgetl.benchmarks.growth OUT.json BUNDLE [--short] [--only WHAT]`.

With the number of pictures and of classes and the side of the input, for checking a data set and for training a head on a frozen
backbone; with the size of the camera's frames, the regions of a frame and the cameras of a device, for the line. Pictures are
drawn noise by seed. Each point is a process of its own: wall time and the most memory of it and its children.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import cv2
import msgspec
import numpy as np

from edgetl.benchmarks.commands_of import data_folder, run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.files import write_file

STEEP = 1.15  # of the exponent between two points: above it growth is worse than linear
_MODEL = "mobilenet_v2_050"


class Point(msgspec.Struct, frozen=True):
    """`seconds` of wall time for all the work at `size`, and the most memory of the processes in 10^6 bytes."""

    size: int
    seconds: float
    peak_mb: float


class Curve(msgspec.Struct, frozen=True):
    """One cost against one size. `exponents`: by which power time and memory grew over the last step, 1 being linear."""

    what: str
    against: str
    points: list[Point]
    exponents: tuple[float, float]

    @property
    def steep(self) -> bool:
        """Whether time or memory grows worse than linearly."""
        return max(self.exponents) > STEEP


def curve(what: str, against: str, points: Sequence[Point]) -> Curve:
    """The curve with its last exponents."""
    before, last = points[-2], points[-1]
    step = math.log(last.size / before.size)
    time, memory = math.log(last.seconds / before.seconds) / step, math.log(last.peak_mb / before.peak_mb) / step
    return Curve(what, against, list(points), (round(time, 2), round(memory, 2)))


def write_pictures(folder: Path, pictures: int, classes: int, side: tuple[int, int] = (160, 120)) -> Path:
    """Noise of low frequency in a colour of its class; one picture in five is for testing."""
    random = np.random.default_rng(0)
    tints = random.integers(0, 256, (classes, 3))
    for number in range(pictures):
        label, split = number % classes, "test" if number // classes % 5 == 4 else "train"
        coarse = random.integers(0, 256, (6, 8, 3)) // 2 + tints[label] // 2
        path = folder / split / f"class{label:03d}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(coarse.astype(np.uint8), side, interpolation=cv2.INTER_CUBIC))
    return folder


def by_pictures(folder: Path, sizes: Sequence[int]) -> Iterator[Curve]:
    """Checking and training against the number of pictures of two classes."""
    checks, trainings, weights = [], [], public_weights()
    for size in sizes:
        data = write_pictures(folder / f"pictures-{size}", size, 2)
        _, cost = run_edgetl("data", "check", data, "--out", folder / f"check-{size}.html", "--weights", weights,
                             "--model", _MODEL, "--imgsz", 96, judged=True)  # fmt: skip
        checks.append(Point(size, cost.seconds, cost.peak_mb))
        trainings.append(_trained(data, size, 96, folder / f"run-pictures-{size}"))
    yield curve(f"edgetl data check{' --weights none' if weights == 'none' else ''}", "pictures", checks)
    yield curve("edgetl train --recipe probe", "pictures", trainings)


def public_weights() -> str:
    """The file of the backbone's public weights in $EDGETL_DATA; without one `none`, and then no features are looked at."""
    path = data_folder() / "weights" / f"{_MODEL}_features.pth"
    return str(path) if path.is_file() else "none"


def by_classes(folder: Path, sizes: Sequence[int], pictures: int) -> Iterator[Curve]:
    """Training against the number of classes, of as many pictures in all."""
    points = [
        _trained(write_pictures(folder / f"classes-{n}", pictures, n), n, 96, folder / f"run-classes-{n}")
        for n in sizes
    ]
    yield curve(f"edgetl train --recipe probe, {pictures} pictures in all", "classes", points)


def by_input(folder: Path, sizes: Sequence[int], pictures: int) -> Iterator[Curve]:
    """Training against the pixels of the model's input, which are the square of its side."""
    data = write_pictures(folder / "input", pictures, 2)
    points = [_trained(data, side * side, side, folder / f"run-input-{side}") for side in sizes]
    yield curve(f"edgetl train --recipe probe, {pictures} pictures", "pixels of the input", points)


def _trained(data: Path, size: int, side: int, run: Path) -> Point:
    _, cost = run_edgetl("train", "--data", data, "--model", _MODEL, "--weights", "none", "--recipe", "probe",
                         "--imgsz", side, "--out", run)  # fmt: skip
    return Point(size, cost.seconds, cost.peak_mb)


def by_frame(folder: Path, bundle: Path, sides: Sequence[tuple[int, int]], frames: int) -> Iterator[Curve]:
    """The line against the pixels of the camera's frames."""
    points = []
    for width, height in sides:
        pictures = write_frames(folder / f"frames-{width}", width, height, frames)
        points.append(_inspected(bundle, pictures, [], width * height))
    yield curve(f"edgetl run, {frames} JPEG pictures", "pixels of a frame", points)


def by_regions(folder: Path, bundle: Path, counts: Sequence[int], frames: int) -> Iterator[Curve]:
    """The line against the regions of a frame, each judged for itself."""
    pictures = write_frames(folder / "regions", 1280, 720, frames)
    points = []
    for count in counts:
        config = folder / f"regions-{count}.yaml"
        config.write_text(json.dumps({"trigger": {"type": "every-frame"}, "regions": regions(count)}))
        points.append(_inspected(bundle, pictures, ["--config", config], count))
    yield curve(f"edgetl run, {frames} frames of 1280×720", "regions of a frame", points)


def regions(count: int) -> list[dict[str, Any]]:
    """So many boxes side by side, as a line's file has them."""
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    places = [(n % across / across, n // across / down) for n in range(count)]
    return [
        {"name": f"region {n}", "box": [round(x, 4), round(y, 4), round(x + 1 / across, 4), round(y + 1 / down, 4)]}
        for n, (x, y) in enumerate(places)
    ]


def by_cameras(folder: Path, bundle: Path, counts: Sequence[int], frames: int) -> Iterator[Curve]:
    """One process a camera on one device: the time until all are through with as many frames each."""
    pictures = write_frames(folder / "cameras", 1280, 720, frames)
    points = []
    for count in counts:
        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(lambda _: _inspected(bundle, pictures, ["--threads", 1], 1), range(count)))
        points.append(Point(count, max(p.seconds for p in found), round(sum(p.peak_mb for p in found), 1)))
    yield curve(f"edgetl run, {frames} frames of 1280×720 each", "cameras of a device", points)


def write_frames(folder: Path, width: int, height: int, count: int) -> Path:
    """Noise as the camera's frames, JPEG: coarse and fine, since a frame without detail is not judged at all."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    fine = random.integers(0, 64, (height, width, 3), np.uint8)
    for number in range(count):
        coarse = random.integers(0, 192, (9, 16, 3), np.uint8)
        picture = cv2.add(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), fine)
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), picture)
    return folder


def _inspected(bundle: Path, pictures: Path, options: list[object], size: int) -> Point:
    found, cost = run_edgetl("run", bundle, "--source", pictures, "--interpreter", "litert", *options)
    summary = found["summary"]
    if not summary["latency_ms"] or summary["dropped"]:
        raise EdgetlError(f"{pictures}: of {summary['frames']} frames some were not judged, so their cost is not known")
    return Point(size, cost.seconds, cost.peak_mb)


def measurements(bundle: Path, folder: Path, short: bool) -> dict[str, Callable[[], Iterator[Curve]]]:
    """All curves, by what grows."""
    pictures = (200, 400, 800) if short else (250, 500, 1000, 2000, 4000)
    frames = 100 if short else 400
    sides = ((640, 360), (1280, 720), (2560, 1440)) if short else ((640, 360), (1280, 720), (1920, 1080), (3840, 2160))
    return {
        "pictures": lambda: by_pictures(folder, pictures),
        "classes": lambda: by_classes(folder, (2, 8, 32) if short else (2, 8, 32, 128), 320 if short else 1280),
        "input": lambda: by_input(folder, (96, 160, 224) if short else (96, 160, 224, 320), 200 if short else 500),
        "frame": lambda: by_frame(folder, bundle, sides, frames),
        "regions": lambda: by_regions(folder, bundle, (1, 4, 16) if short else (1, 2, 4, 8, 16, 32), frames),
        "cameras": lambda: by_cameras(folder, bundle, (1, 2, 4) if short else (1, 2, 4, 8), frames),
    }


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--short", is_flag=True, help="Fewer and smaller points.")
@click.option("--only", multiple=True, help="pictures, classes, input, frame, regions or cameras; all without it.")
def main(out: Path, bundle: Path, short: bool, only: tuple[str, ...]) -> None:
    """Writes OUT.json after each curve, and prints it at the end."""
    curves: list[Curve] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in measurements(bundle, Path(folder), short).items():
            if only and name not in only:
                continue
            curves += measure()
            result = {"machine": machine(), "short": short, "curves": msgspec.to_builtins(curves)}
            write_file(out, json.dumps(result, indent=1) + "\n")
    click.echo(json.dumps(msgspec.to_builtins(curves)))


if __name__ == "__main__":
    sys.exit(ended(main))
