"""The reference that a bundle carries: figures of pictures, and how sure the model is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.exporter.reference import confidence, describe
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import novelty_of

RULE = DecisionRule(labels=("ok", "bad"), ok_labels=("ok",))


def picture(value: Any) -> Image:
    return np.broadcast_to(np.array(value, np.uint8), (16, 16, 3)).copy()


def test_pictures_are_described_together_and_by_label() -> None:
    reference = describe([("ok", picture(10)), ("bad", picture(40)), ("ok", picture(20))])
    brightness = reference.figures["brightness"]
    assert brightness.mean == pytest.approx(70 / 3, abs=1e-4)
    assert (brightness.quantiles[0], brightness.quantiles[4], brightness.quantiles[-1]) == (10, 20, 40)
    assert {label: means["brightness"] for label, means in reference.by_label.items()} == {"ok": 15, "bad": 40}


def test_confidence_is_told_by_the_label_that_was_given() -> None:
    rng = np.random.default_rng(1)
    answers = [rng.normal((4, -4) if n % 3 else (-2, 2), (0.5, 1.0)).astype(np.float32) for n in range(300)]
    taken = iter(answers)

    def logits(_: Image) -> NDArray[np.float32]:
        return next(taken)

    sure = confidence("m", (picture(0) for _ in answers), logits, RULE)
    assert sure.pictures == 300 and sure.model == "m"
    assert sure.logits["ok"].mean == pytest.approx((4, -4), abs=0.2)
    assert sure.logits["ok"].std == pytest.approx((0.5, 1.0), rel=0.2)
    assert sure.by_label["ok"]["margin"] == pytest.approx(8, abs=0.3)
    assert sure.by_label["bad"]["margin"] == pytest.approx(4, abs=0.3)
    assert sure.figures["novelty"].mean == pytest.approx(-0.577, abs=0.15)  # of the log of χ²(2)/2


def test_few_pictures_of_a_label_are_no_more_like_it_than_others_are() -> None:
    """Three of each label tell what the line will see; each stands in the mean that it is compared with."""
    rng, found, fresh = np.random.default_rng(2), [], []
    for _ in range(40):
        middles = {"ok": (4, -4), "bad": (-4, 4)}
        drawn = [rng.normal(middles[label], 1.0).astype(np.float32) for label in ("ok", "bad") for _ in range(3)]
        taken = iter(drawn)
        sure = confidence("m", (picture(0) for _ in drawn), lambda _, taken=taken: next(taken), RULE)  # type: ignore[misc]
        found.append(sure.figures["novelty"].mean)
        fresh += [
            novelty_of(rng.normal(middles[label], 1.0), sure.logits[label]) for label in middles for _ in range(20)
        ]
    assert np.mean(found) == pytest.approx(np.mean(fresh), abs=0.35)


def test_label_given_once_borrows_its_spread_from_all() -> None:
    answers = iter([np.array((3 + n % 2, -3), np.float32) for n in range(20)] + [np.array((-1, 5), np.float32)])
    sure = confidence("m", (picture(0) for _ in range(21)), lambda _: next(answers), RULE)
    assert sure.logits["bad"].mean == (-1, 5)
    assert sure.logits["bad"].std[0] > 0.3
    assert sure.by_label["bad"]["novelty"] == 0.0
