"""What the timed file answers on the machine that it was timed on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.runtime.bundle import Bundle
from edgetl.runtime.evaluation import evaluate, in_two, pictures_of_split
from edgetl.runtime.golden import golden_inputs, read_golden, replay
from edgetl.runtime.interpreters import Interpreter, OpenedModel, available, open_named
from edgetl.runtime.interpreters.registry import format_of


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What the timed file answers on this machine: golden verdicts that changed, and with labelled pictures its balanced
    accuracy beside that of the float file in the bundle (None without one)."""

    golden_pictures: int
    golden_flips: int
    pictures: int = 0
    balanced_accuracy: float | None = None
    float_balanced_accuracy: float | None = None


def measured_accuracy(bundle: Bundle, interpreter: OpenedModel, data: Path | None) -> Accuracy:
    """What the timed file answers here: on the golden set, and on the test pictures of `data`."""
    golden = read_golden(bundle)
    images, _ = golden_inputs(bundle, golden)
    flips = len(replay(bundle, golden, images, interpreter).flips)
    if data is None:
        return Accuracy(golden_pictures=len(images), golden_flips=flips)
    manifest = bundle.manifest
    pictures = pictures_of_split(data, "test", {}).pictures
    pictures = pictures if manifest.detector is None else in_two(pictures, manifest.rule)

    def balanced(asked: Interpreter) -> tuple[float, int]:
        found = evaluate(data, pictures, asked.logits, manifest.preprocessing, manifest.rule, model="", split="test")
        return found.metrics.balanced_accuracy, found.metrics.n

    own, count = balanced(interpreter)
    plain = [name for name in available() if bundle.model(format_of(name), "float32") is not None]
    other = balanced(open_named(bundle, plain[0], 1, "float32"))[0] if plain else None
    return Accuracy(
        golden_pictures=len(images), golden_flips=flips, pictures=count, balanced_accuracy=own,
        float_balanced_accuracy=other,
    )  # fmt: skip
