"""A temperature makes scores mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.runtime.decision import probabilities
from edgetl.trainer.deciding.temperature import calibration_error, fit_temperature, log_loss


def answers(scale: float, n: int = 4000) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits that are `scale` times too large for what is true of them."""
    random = np.random.default_rng(0)
    honest = random.normal(0, 1.5, (n, 4)).astype(np.float32)
    truth = np.array([random.choice(4, p=p) for p in probabilities(honest)], np.int64)
    return honest * np.float32(scale), truth


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_temperature_undoes_over_and_under_confidence(scale: float) -> None:
    logits, truth = answers(scale)
    temperature = fit_temperature(logits, truth)
    assert temperature == pytest.approx(scale, rel=0.1)
    assert log_loss(logits, truth, temperature) <= min(log_loss(logits, truth, t) for t in (0.2, 0.5, 1, 2, 5)) + 1e-4
    assert calibration_error(logits, truth, temperature) < 0.03
    if scale == 4.0:
        assert calibration_error(logits, truth, 1.0) > 0.1


def test_where_nothing_is_wrong_nothing_is_known_of_confidence() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    assert fit_temperature(logits, np.array([0, 1, 2, 1])) == 1.0
