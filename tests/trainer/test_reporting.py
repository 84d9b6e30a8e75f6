"""The run's page: which pictures it shows, and that the heat lies where the answer comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgetl.runtime.decision import DecisionRule
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.reporting.focus import Focus
from edgetl.trainer.reporting.mistakes import barely, judged, worst
from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused

RULE = DecisionRule(labels=("bad", "good"), ok_labels=("good",))


def test_surest_mistakes_and_doubtful_hits_come_first() -> None:
    logits = np.array([[2, 0], [0, 3], [0, 1], [0.2, 0], [0.9, 0]], np.float32)
    pictures = judged(list("abcde"), np.array([0, 0, 0, 0, 1]), logits, RULE)
    assert [p.path for p in worst(pictures, 10)] == ["b", "c", "e"]
    assert [p.path for p in worst(pictures, 1)] == ["b"]
    assert [p.path for p in barely(pictures, 10)] == ["d", "a"]
    assert pictures[1].chance == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert pictures[1].chance + pictures[1].chance_of_truth == pytest.approx(1)


def test_calibrated_chances_are_the_ones_shown() -> None:
    hot = DecisionRule(labels=RULE.labels, ok_labels=RULE.ok_labels, temperature=4.0)
    found = judged(["a"], np.array([0]), np.array([[4, 0]], np.float32), hot)
    assert found[0].chance == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)


class Corner(torch.nn.Module):
    """A net of one map that is the red channel, pooled; `good` is the mean of it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = torch.nn.AvgPool2d(16)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps = self.pool(pixels[:, :1] - pixels[:, :1].amin())
        score = maps.mean(dim=(2, 3))
        return torch.cat([-score, score], dim=1)


def test_heat_lies_where_the_answer_comes_from() -> None:
    network = Network(describe("test_resnet.r160_in1k"), 2, 64)
    network.net = Corner()
    image = np.zeros((64, 64, 3), np.uint8)
    image[:16, 48:, 0] = 255
    heats = Focus(network.eval()).on([image, image[::-1].copy()], [1, 1])
    assert heats is not None
    for heat, corner in zip(heats, (3, 15), strict=True):
        assert heat.shape == (4, 4)
        assert heat.reshape(-1)[corner] == 1.0 and np.delete(heat.reshape(-1), corner).max() < 0.01


def test_many_pictures_at_once_have_the_heat_of_each_alone() -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8))
    labels = [n % 3 for n in range(20)]
    focus = Focus(Network(describe("resnet18"), 3, 64).eval())
    together = focus.on(images, labels)
    assert together is not None and focus.on([], []) == []
    for image, label, heat in list(zip(images, labels, together, strict=True))[::6]:
        alone = focus.on([image], [label])
        assert alone is not None and np.abs(alone[0] - heat).max() < 1e-3


def test_every_kind_of_net_gives_its_last_map_or_none() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name, maps in (
        ("mobilenet_v2_050", True),
        ("mobilenet_v3_small", True),
        ("resnet18", True),
        ("test_vit", False),
    ):
        heats = Focus(Network(describe(name), 3, 64).eval()).on([image], [2])
        assert (heats is not None) == maps, name
        assert heats is None or (heats[0].shape[0] > 1 and heats[0].min() >= 0 and heats[0].max() <= 1), name


@pytest.mark.slow
def test_page_of_a_run_stands_alone_and_tells_its_figures(small_run: Path, small_data: Path) -> None:
    page = (small_run / "report.html").read_text()
    run = read_run(small_run)
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert f"Recipe {run.settings.recipe}" in page and all(label in page for label in run.record.rule.labels)
    assert all(reason in page for reason in run.settings.reasons)
    answer = call("report", small_run, "--data", small_data, "--split", "test", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == {"report": str(small_run / "report.html")}
    again = (small_run / "report.html").read_text()
    assert "flatters" not in again and "had no part in the run" in again
    tests = [s for s in run.splits if s.split == "test"]
    assert f"on {len(tests)} pictures" in again and "On test" in again
    shown = set(re.findall(r'<br><span class="quiet">([^<]+)</span>', again))
    assert shown and shown <= {s.path for s in tests}


@pytest.mark.slow
def test_pictures_that_are_not_there_are_one_line(small_run: Path, tmp_path: Path) -> None:
    refused(call("report", small_run, "--data", tmp_path), 2, "E_DATASET")
    refused(call("report", tmp_path), 2, "E_USAGE", "not a run folder")
    for label in read_run(small_run).record.rule.labels:
        (tmp_path / label).mkdir()
        cv2.imwrite(str(tmp_path / label / "a.png"), np.zeros((40, 40, 3), np.uint8))
    refused(call("report", small_run, "--data", tmp_path), 2, "E_DATASET", "no pictures of split 'val'")
