"""Training loops of other programs, for a number of epochs or until a time is over.

Each is put together from the program's own parts, is given a Work as JSON, and prints a line of JSON for each epoch: its
seconds, the pictures that it trained on and validated with, and when its last batch was done, in seconds from the start of the
process. Where the time is limited, rates fall along their cosine by the clock, so that a loop comes to its end whatever it gets
done, the validation and judging after the last batch are not counted, and a last line tells the classes of the test pictures and
what the net took them for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgetl.benchmarks.commands_of import Cost
from edgetl.benchmarks.peers.environments import run
from edgetl.errors import EdgetlError
from edgetl.runtime.metrics import balanced_accuracy, confusion_matrix


class Work(msgspec.Struct, frozen=True):
    """What a loop is to do with DATA/{train,val}/<class>, and where the time is limited DATA/test/<class>: so many `epochs`, or
    as many as `seconds` allow. `weights` is a state dict in the names of the program's net; without it all begins from nothing."""

    data: Path
    model: str
    imgsz: int
    batch: int
    workers: int
    epochs: int = 0
    seconds: float = 0.0
    weights: Path | None = None
    seed: int = 0


class Trained(msgspec.Struct, frozen=True):
    """The lines of the epochs, the balanced accuracy on test in per cent where it was judged, and what the process cost."""

    epochs: list[dict[str, float]]
    balanced_accuracy: float | None
    cost: Cost


def trained(python: Path, program: str, work: Work, folder: Path, name: str) -> Trained:
    """Runs a loop to its end. Raises EdgetlError."""
    asked = msgspec.json.encode(work, enc_hook=str).decode()
    printed, cost = run(python, program, asked, folder=folder, name=name)
    lines: list[dict[str, Any]] = [json.loads(line) for line in printed if line.startswith('{"')]
    epochs = [line for line in lines if "pictures" in line]
    if not epochs:
        raise EdgetlError(f"{name} ended without an epoch")
    judged = [line for line in lines if "truth" in line]
    return Trained(epochs, judged_right(judged[0]) if judged else None, cost)


def judged_right(answers: Mapping[str, list[str]]) -> float:
    """Balanced accuracy in per cent of the classes that were `guessed`, against the `truth`."""
    labels = sorted({*answers["truth"], *answers["guessed"]})
    truth, guessed = (np.array([labels.index(label) for label in answers[name]]) for name in ("truth", "guessed"))
    return round(100 * balanced_accuracy(confusion_matrix(truth, guessed, len(labels))), 2)


TIMM_NAMES = {"mobilenet_v2": "mobilenetv2_100"}  # others have one name everywhere
_IN_TIMMS_NAMES = """
import sys, torch
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.weights import load_into
network = Network(describe(sys.argv[1]), 1000, 224)
load_into(network, sys.argv[2])
torch.save(network.net.state_dict(), sys.argv[3])
"""


def in_timms_names(python: Path, model: str, weights: Path, out: Path) -> Path:
    """Writes public weights as timm names their layers, the head left as it came about; returns `out`. Raises EdgetlError."""
    run(python, _IN_TIMMS_NAMES, model, weights.resolve(), out.resolve(), folder=out.parent, name="weights")
    return out
