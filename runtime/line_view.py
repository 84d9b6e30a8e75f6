"""Draws the line as a person wants to see it: the picture, the verdict, the counts, and the last parts."""

from __future__ import annotations

from collections import Counter, deque

import cv2
import msgspec
import numpy as np

from edgetl.runtime.preprocess import Image
from edgetl.runtime.verdict import Verdict

Colour = tuple[int, int, int]

# BGR. The verdict is also written out, since one man in twelve cannot tell red from green.
COLOURS: dict[str, Colour] = {
    "OK": (96, 174, 39),
    "NG": (60, 60, 217),
    "UNKNOWN": (32, 165, 237),
    "FAULT": (140, 140, 140),
}
BACKGROUND: Colour = (38, 34, 30)
INK: Colour = (235, 235, 235)
DIM: Colour = (160, 155, 150)
FONT = cv2.FONT_HERSHEY_DUPLEX
WIDTH, HEIGHT = 640, 480  # of the live picture
STRIP = 150  # the column of last parts
BAR = 64
THUMBNAILS = 4


class LineView:
    """Keeps the counts and the last judged pictures, and draws one view a frame."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._last: deque[tuple[Image, Verdict]] = deque(maxlen=THUMBNAILS)
        self._verdict: Verdict | None = None

    def draw(self, frame: Image, verdict: Verdict | None) -> Image:
        """The view of one frame (H×W×3 uint8 BGR, any size) as (HEIGHT + BAR)×(WIDTH + STRIP)×3."""
        live = _fitted(frame, WIDTH, HEIGHT)
        if verdict is not None:
            self._counts[verdict.verdict] += 1
            self._verdict = verdict
            self._last.appendleft((_fitted(frame, STRIP - 24, 95), verdict))
        view = np.full((HEIGHT + BAR, WIDTH + STRIP, 3), BACKGROUND, np.uint8)
        view[:HEIGHT, :WIDTH] = live
        if verdict is not None:
            cv2.rectangle(view, (2, 2), (WIDTH - 3, HEIGHT - 3), COLOURS[verdict.verdict], 5, cv2.LINE_AA)
            _draw_regions(view, frame, verdict)
        self._draw_strip(view)
        self._draw_bar(view)
        return view

    def _draw_strip(self, view: Image) -> None:
        for row, (thumbnail, verdict) in enumerate(self._last):
            y, x = 8 + row * 118, WIDTH + 12
            height, width = thumbnail.shape[:2]
            view[y : y + height, x : x + width] = thumbnail
            colour = COLOURS[verdict.verdict]
            cv2.rectangle(view, (x - 2, y - 2), (x + width + 1, y + height + 1), colour, 3, cv2.LINE_AA)
            _write(view, _said(verdict), (x - 2, y + height + 15), 0.4, INK)

    def _draw_bar(self, view: Image) -> None:
        if self._verdict is not None:
            colour = COLOURS[self._verdict.verdict]
            cv2.rectangle(view, (0, HEIGHT), (150, HEIGHT + BAR), colour, cv2.FILLED)
            scale = 1.1 if len(self._verdict.verdict) < 4 else 0.72
            _centred(view, self._verdict.verdict, (75, HEIGHT + BAR // 2), scale, (255, 255, 255))
            said = _said(self._verdict) if self._verdict.label else (self._verdict.reason or "")[:34]
            _write(view, said, (166, HEIGHT + 27), 0.62, INK)
            place = f"part {self._verdict.part}  " if self._verdict.part is not None else ""
            _write(view, f"{place}{self._verdict.latency_ms:.1f} ms", (166, HEIGHT + 50), 0.48, DIM)
        x = 410
        for kind, colour in COLOURS.items():
            _write(view, f"{self._counts[kind]}", (x, HEIGHT + 30), 0.7, colour)
            _write(view, kind, (x, HEIGHT + 50), 0.38, DIM)
            x += 92


def _draw_regions(view: Image, frame: Image, verdict: Verdict) -> None:
    """A box a region, in the colour of what it says, with its name."""
    if isinstance(verdict.regions, msgspec.UnsetType):
        return
    scale, left, top = _fit(frame, WIDTH, HEIGHT)
    for region in verdict.regions:
        if region.box is not None:
            x0, y0, x1, y1 = (round(value * scale) for value in region.box)
            colour = COLOURS[region.verdict]
            cv2.rectangle(view, (left + x0, top + y0), (left + x1 - 1, top + y1 - 1), colour, 2, cv2.LINE_AA)
            cv2.rectangle(view, (left + x0, top + y0), (left + x1 - 1, top + y0 + 20), colour, cv2.FILLED)
            said = f"{region.verdict} {region.name}: {region.label or '-'}"
            _write(view, said, (left + x0 + 5, top + y0 + 15), 0.42, (255, 255, 255))


def _said(verdict: Verdict) -> str:
    if verdict.label is None:
        return verdict.verdict
    return f"{verdict.label.replace('_', ' ')} {verdict.score:.2f}"


def _fit(image: Image, width: int, height: int) -> tuple[float, int, int]:
    """The scale at which a picture fits, and where its left upper corner then is."""
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return scale, (width - w) // 2, (height - h) // 2


def _fitted(image: Image, width: int, height: int) -> Image:
    """The picture scaled to fit and centred on the background, so that nothing of it is cut off."""
    scale, x, y = _fit(image, width, height)
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out = np.full((height, width, 3), BACKGROUND, np.uint8)
    out[y : y + h, x : x + w] = image if scale == 1 else cv2.resize(image, (w, h), interpolation=method)
    return out


def _write(view: Image, text: str, at: tuple[int, int], scale: float, colour: Colour) -> None:
    # OpenCV's built-in fonts hold ASCII only; other letters would come out as question marks.
    cv2.putText(view, text.encode("ascii", "replace").decode(), at, FONT, scale, colour, 1, cv2.LINE_AA)


def _centred(view: Image, text: str, middle: tuple[int, int], scale: float, colour: Colour) -> None:
    (width, height), _ = cv2.getTextSize(text, FONT, scale, 2)
    cv2.putText(view, text, (middle[0] - width // 2, middle[1] + height // 2), FONT, scale, colour, 2, cv2.LINE_AA)
