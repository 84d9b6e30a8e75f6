"""Folders as a line leaves them, made by the line's own collector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgetl.runtime.collect import Collected, Collector, CollectSettings, read_collected
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict, VerdictKind

LABELS = ("good", "scratch")


def picture(seed: int) -> Image:
    """A picture unlike those of other seeds."""
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)


def fill(folder: Path, said: list[tuple[int, VerdictKind, float]]) -> list[Collected]:
    """Collects one picture for each (seed, verdict, score) and returns their records."""
    settings = CollectSettings(folder=str(folder), unsure_below=1.0, per_minute=6000)
    keeper = Collector(settings, "part", LABELS, seed=0)
    for sequence, (seed, kind, score) in enumerate(said, 1):
        frame = Frame(sequence, "camera 0", picture(seed), 0.0, 0.0)
        label = LABELS[kind == "NG"]
        keeper.show(
            frame,
            Verdict(
                sequence=sequence, verdict=kind, label=label, score=score, source="camera 0", frame=sequence,
                time_s=0.0, latency_ms=1.0, device="press-3",
            ),
        )  # fmt: skip
        while keeper.health().waiting:
            pass
    keeper.close()
    return read_collected(folder)
