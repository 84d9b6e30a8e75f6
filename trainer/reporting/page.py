"""Writes RUN/report.html."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import cv2
import jinja2
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.errors import storage
from edgetl.runtime.files import write_file
from edgetl.runtime.metrics import Interval, measure
from edgetl.runtime.page.heatmap import laid_over
from edgetl.runtime.preprocess import Image
from edgetl.trainer.inline import inlined
from edgetl.trainer.network import channels_last, pixels_of
from edgetl.trainer.reporting.distances import Distances
from edgetl.trainer.reporting.focus import Focus
from edgetl.trainer.reporting.mistakes import Judged, barely, judged, worst
from edgetl.trainer.run_folder import DECISION, Run

NAME = "report.html"
MISTAKES, DOUBTS = 24, 8  # pictures shown
_BATCH = 32
_SIDE = 176


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled pictures as the network sees them: `image` gives S×S×3 uint8 RGB by number."""

    name: str
    paths: Sequence[str]
    truth: NDArray[np.int64]
    image: Callable[[int], Image]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of the page."""

    path: str
    truth: str
    guess: str
    chance: str
    picture: str
    heat: str | None


def write_report(run: Run, split: Split, logits: NDArray[np.float32] | None = None) -> Path:
    """Judges the split's pictures with the run's best weights, unless their logits (n×classes) are known already, and
    writes the page. Raises StorageError."""
    rule = run.record.rule
    network, far = run.network(), Distances.of(run)
    if logits is None:
        logits = _logits(channels_last(network), split) if far is None else far.logits(split.image, len(split.paths))
    pictures = judged(split.paths, split.truth, logits, rule)
    metrics = measure(split.truth, np.array([p.guess for p in pictures], np.int64), rule.labels)
    focus = far or Focus(network)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((files("edgetl.trainer.reporting") / "report.html.j2").read_text())
    out = run.folder / NAME
    page = template.render(
        run=run, settings=run.settings, record=run.record, split=split.name, metrics=metrics, share=_share,
        mistakes=_shown(worst(pictures, MISTAKES), split, rule.labels, focus), wrong=sum(not p.right for p in pictures),
        doubts=_shown(barely(pictures, DOUBTS), split, rule.labels, focus),
        maps=focus.layer is not None, plots=_plots(run.folder), decision=_decision(run.folder),
    )  # fmt: skip
    write_file(out, page)
    return out


@torch.inference_mode()
def _logits(network: torch.nn.Module, split: Split) -> NDArray[np.float32]:
    count = len(split.paths)
    out = [
        network(pixels_of(torch.from_numpy(np.stack([split.image(i) for i in range(at, min(at + _BATCH, count))]))))
        for at in range(0, count, _BATCH)
    ]
    found: NDArray[np.float32] = torch.cat(out).numpy()
    return found


def _shown(pictures: Sequence[Judged], split: Split, labels: tuple[str, ...], focus: Focus | Distances) -> list[Shown]:
    images = [split.image(p.number) for p in pictures]
    found = focus.on(images, [p.guess for p in pictures])
    heats = [None] * len(images) if found is None else found
    return [
        Shown(
            path=p.path, truth=labels[p.truth], guess=labels[p.guess], chance=f"{p.chance:.0%}",
            picture=inlined(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _SIDE),
            heat=None if heat is None else inlined(laid_over(image, heat), _SIDE),
        )
        for p, image, heat in zip(pictures, images, heats, strict=True)
    ]  # fmt: skip


def _share(value: float | None, interval: Interval | None) -> str:
    """A share in per cent with its 95 % interval."""
    if value is None or interval is None:
        return "–"
    return f"{100 * value:.1f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f})"


def _plots(folder: Path) -> dict[str, str]:
    """The run's plots, by what they show."""
    names = {
        "Loss and accuracy over the epochs": "curves.png",
        "Truth and answer on validation": "confusion_val.png",
        "How far held-out pictures lie from good parts": "distances.png",
    }
    found = {}
    for title, name in names.items():
        with storage(folder / name):
            data = (folder / name).read_bytes() if (folder / name).is_file() else b""
        if data:
            found[title] = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return found


def _decision(folder: Path) -> dict[str, object] | None:
    """What `edgetl decide` wrote, if it did."""
    path = folder / DECISION
    if not path.is_file():
        return None
    found: dict[str, object] = msgspec.json.decode(path.read_bytes())
    return found
