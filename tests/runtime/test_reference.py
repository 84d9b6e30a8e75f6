"""Figures of pictures and of answers, worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgetl.errors import BundleFormatError
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.manifest import REFERENCE_NAME
from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import LogitSpread, confidence_of, figures_of, novelty_of, read_reference
from tests.runtime import tiny


def picture(value: Any) -> Image:
    return np.broadcast_to(np.array(value, np.uint8), (16, 16, 3)).copy()


def test_figures_of_plain_pictures() -> None:
    red = figures_of(picture((200, 0, 0)))
    assert (red["red"], red["green"], red["blue"]) == (200, 0, 0)
    assert (red["red_share"], red["blue_share"]) == (1, 0)
    assert red["contrast"] == red["sharpness"] == 0.0
    assert (figures_of(picture(0))["black"], figures_of(picture(255))["white"]) == (1.0, 1.0)


def test_figures_of_stripes() -> None:
    stripes = picture(0)
    stripes[:, ::2] = 255
    assert figures_of(stripes)["contrast"] == pytest.approx(127.5)
    assert figures_of(stripes)["sharpness"] > 1e4


def test_confidence_of_logits() -> None:
    sure = confidence_of(np.array([2.0, 0.0, 0.0], np.float32), 1.0)
    assert sure["score"] == pytest.approx(np.exp(2) / (np.exp(2) + 2))
    assert sure["margin"] == 2
    assert sure["energy"] == pytest.approx(np.log(np.exp(2) + 2))
    assert confidence_of(np.array([2.0, 0.0], np.float32), 4.0)["margin"] == 0.5
    assert confidence_of(np.array([3.0], np.float32), 1.0) == {"score": 1.0, "margin": 0.0, "energy": 3.0}


def test_novelty_counts_standard_deviations() -> None:
    spread = LogitSpread((1.0, 2.0), (0.5, 1.0))
    assert novelty_of(np.array([1.0, 2.0], np.float32), spread) < -10
    assert novelty_of(np.array([2.0, 4.0], np.float32), spread) == pytest.approx(np.log(4))


def test_bundle_without_a_reference_has_none(tmp_path: Path) -> None:
    with open_bundle(tiny.write(tmp_path / "a.edgetl")) as bundle:
        assert read_reference(bundle) is None


def test_reference_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    old = {"pictures": 3, "quantile_points": [0.5], "figures": {"brightness": {"mean": 1, "std": 2, "quantiles": [1]}}}
    files = {**tiny.content(), REFERENCE_NAME: msgspec.json.encode(old)}
    with open_bundle(tiny.write(tmp_path / "a.edgetl", files)) as bundle:
        reference = read_reference(bundle)
    assert reference is not None and reference.figures["brightness"].std == 2
    assert (reference.by_label, reference.confidence) == ({}, None)


def test_damaged_reference_is_refused(tmp_path: Path) -> None:
    files = {**tiny.content(), REFERENCE_NAME: b'{"pictures": "many"}'}
    with open_bundle(tiny.write(tmp_path / "a.edgetl", files)) as bundle, pytest.raises(BundleFormatError):
        read_reference(bundle)
