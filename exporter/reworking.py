"""Float weights that bear int8 better: equalized across layers, or distilled under simulated rounding."""

from __future__ import annotations

import copy
import time
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule

from edgetl.exporter.calibration import images_of, pictures_of
from edgetl.exporter.deployed import Deployed
from edgetl.exporter.layers import matched, onnx_layers, torch_layers
from edgetl.exporter.ranges import Range
from edgetl.exporter.simulation.distil import Schedule, distil
from edgetl.exporter.simulation.equalize import equalize
from edgetl.exporter.simulation.graph import graph_of
from edgetl.exporter.simulation.rounding import observe
from edgetl.exporter.simulation.sensitivity import most_sensitive, noise_of_layers
from edgetl.exporter.simulation.weights import round_weights, store_rounded
from edgetl.trainer.augment import PRESETS
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run

MORE = 150  # train pictures that channel ranges are read from besides the calibration set
MOST = 1500  # train pictures to distil from: 150 kB each at 224 px stay in memory
CHECKED = 48  # calibration pictures that choose among the distilled weights
LISTENED = 12  # calibration pictures that layers are ranked with: one pass for each layer


class Reworking:
    """One run's network as a graph, and what can be made of it. `calibration` is the calibration set's .npy."""

    def __init__(self, run: Run, data: Path, calibration: Path, reporter: Reporter) -> None:
        self._run = run
        self._data = data
        self._calibration = torch.from_numpy(np.load(calibration))
        self._reporter = reporter

    @cached_property
    def trained(self) -> GraphModule:
        """The network as it was trained. Raises ExportError where torch cannot trace it."""
        return graph_of(Deployed(self._run.network()).eval(), self._run.record.preprocessing.size)

    def _train(self, most: int) -> Tensor:
        pictures = sorted(pictures_of(self._run, "train", self._data), key=lambda p: p.sha256)[:most]
        return torch.from_numpy(images_of(pictures, self._data, self._run.record.preprocessing))

    @cached_property
    def equalized(self) -> GraphModule:
        """The network with its channels equalized and its weights on int8's steps."""
        graph = _copy_of(self.trained)
        seen = torch.cat([self._calibration, self._train(MORE)])
        equalize(graph, seen)
        round_weights(graph, seen)
        return graph

    def distilled(self, left_s: float) -> GraphModule:
        """The equalized network, distilled for as long as there is time."""
        end = time.monotonic() + left_s
        graph = _copy_of(self.equalized)
        how = PRESETS[self._run.settings.augmentation]
        schedule = Schedule(seed=self._run.settings.seed)
        found = distil(
            graph, self.trained, self._train(MOST), self._calibration[:CHECKED], self._ranges(graph), how, schedule,
            lambda: end - time.monotonic(),
        )  # fmt: skip
        self._reporter.say(
            f"distilled {found.steps} of {found.of} steps: logits {found.before_db:.1f} dB above the noise before, "
            f"{found.after_db:.1f} dB after"
            + ("" if found.steps == found.of else "; ended by --budget, so that another time the weights may be others")
        )
        store_rounded(graph)  # as they were in every step of it
        return graph

    def _ranges(self, graph: GraphModule) -> dict[str, Range]:
        return observe(graph, self._calibration, "mse")

    def most_sensitive(self, share: float, float_onnx: Path) -> list[str]:
        """The layers of the equalized network that lose the most, as ONNX nodes."""
        own = torch_layers(self.equalized)
        nodes = matched(own, onnx_layers(float_onnx))
        noise = noise_of_layers(self.equalized, self._ranges(self.equalized), self._calibration[:LISTENED])
        worst = most_sensitive(noise, share)
        self._reporter.say("kept in float: " + ", ".join(f"{own[i].name} ({noise[i]:.0f} dB)" for i in worst))
        return [nodes[i].name for i in worst]


def _copy_of(graph: GraphModule) -> GraphModule:
    """A graph with weights of its own. torch warns of its own way to copy one, and nobody here could act on that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return copy.deepcopy(graph)
