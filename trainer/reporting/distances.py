"""What a one-class run's verdict rests on: how far each place of the picture lies from good parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.anomaly import Detector
from edgetl.runtime.anomaly.drawing import strength_of
from edgetl.runtime.evaluation import Logits
from edgetl.runtime.preprocess import Image
from edgetl.trainer.judge import float_detector, float_outputs
from edgetl.trainer.run_folder import Run


class Distances:
    """Draws distances where a classifier's page draws its focus; `layer` is what they are of."""

    layer = "feature maps"

    def __init__(self, outputs: Logits, detector: Detector) -> None:
        self._outputs = outputs
        self._detector = detector

    @classmethod
    def of(cls, run: Run) -> Distances | None:
        """Those of a one-class run; None for a classifier."""
        detector = float_detector(run)
        return None if detector is None else cls(float_outputs(run), detector)

    def logits(self, image: Callable[[int], Image], count: int) -> NDArray[np.float32]:
        """The logits of so many pictures."""
        return np.stack([self._detector.logits(self._outputs(image(n))) for n in range(count)])

    def on(self, images: Sequence[Image], labels: Sequence[int]) -> list[NDArray[np.float32]]:
        """Where each picture (S×S×3 uint8 RGB) lies how far from good parts, 0 to 1; whatever its label."""
        return [strength_of(self._detector.distances(self._outputs(i)), self._detector.threshold) for i in images]
