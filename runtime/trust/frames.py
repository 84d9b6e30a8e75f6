"""The checks of one line, in the order of what is worse; each frame passes them before the model sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import Reference, light_of
from edgetl.runtime.sources.base import Frame, Source
from edgetl.runtime.trust.quality import doubt_about, limits_of
from edgetl.runtime.trust.settings import TrustSettings
from edgetl.runtime.trust.stillness import Stillness
from edgetl.runtime.verdict import Doubt

_SHAPE_SLACK = 0.01  # of the ratio of width to height: scaled sizes are rounded to whole blocks of pixels


class Trust:
    """Looks at each frame of one source, and at each input made of it. Keeps no more than one small sample."""

    def __init__(
        self,
        settings: TrustSettings,
        reference: Reference | None,
        source: Source,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is the monotonic clock that frames are stamped with. Age and stillness mean something for a camera
        only: a file may be read late, and a film may stand still."""
        self._settings = settings
        self._limits = limits_of(reference, settings)
        self._live = source.live
        self._still_limit_s = _still_limit_s(settings, source)
        self._clock = clock
        self._stillness = Stillness()
        self._ratio: float | None = None
        self._first_size = ""

    def frame(self, frame: Frame) -> Doubt | None:
        """Why a frame that has a picture must not be judged, or None."""
        assert frame.image is not None
        return self._stale(frame) or self._other_shape(frame.image) or self._frozen(frame, frame.image)

    def _stale(self, frame: Frame) -> Doubt | None:
        age_s = self._clock() - frame.arrived_s
        if not self._live or age_s <= self._settings.max_age_s:
            return None
        return Doubt("FAULT", f"the frame is {age_s:.1f} s old, more than {self._settings.max_age_s:g} s")

    def _other_shape(self, image: Image) -> Doubt | None:
        """Another resolution of the same shape is scaled away; another shape would stretch or move the parts."""
        if not self._live:
            return None
        height, width = image.shape[:2]
        if self._ratio is None:
            self._ratio, self._first_size = width / height, f"{width}×{height}"
        if abs(width / height / self._ratio - 1) <= _SHAPE_SLACK:
            return None
        return Doubt("FAULT", f"the camera changed its picture from {self._first_size} to {width}×{height}")

    def _frozen(self, frame: Frame, image: Image) -> Doubt | None:
        if self._still_limit_s is None:
            return None
        still_s = self._stillness.seconds(image, frame.arrived_s)
        if still_s < self._still_limit_s:
            return None
        return Doubt("UNKNOWN", f"the picture has stood still for {still_s:.1f} s; the camera is frozen")

    def inputs(self, images: Sequence[Image]) -> Doubt | None:
        """Why the model's inputs (each S×S×3 RGB) of one frame must not be judged, or None."""
        if self._settings.quality:
            for image in images:
                if reason := doubt_about(light_of(image), self._limits):
                    return Doubt("UNKNOWN", reason)
        return None


def _still_limit_s(settings: TrustSettings, source: Source) -> float | None:
    natural_s: float | None = getattr(source, "still_limit_s", None)  # only a real camera has noise to tell by
    if natural_s is None or settings.frozen_after_s == 0:
        return None
    return settings.frozen_after_s or natural_s
