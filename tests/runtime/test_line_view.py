"""The line as a person sees it: the picture, the verdict in colour and in words, the counts."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.runtime.line_view import BAR, COLOURS, HEIGHT, STRIP, WIDTH, LineView
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny


def verdict(kind: str, label: str | None = "ok", **more: object) -> Verdict:
    score = 0.9 if label else None
    fields = {"sequence": 1, "source": "a", "frame": 0, "time_s": 0.0, "latency_ms": 1.0, "score": score, **more}
    return Verdict(verdict=kind, label=label, **fields)  # type: ignore[arg-type]


def has(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == np.array(colour, np.uint8)).all(axis=2).any())


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1920, 1080), (480, 640), (1, 1), (3000, 2), (33, 77)])
def test_view_has_one_size_whatever_the_frame(width: int, height: int) -> None:
    frame = tiny.plain("blue", width, height)
    view = LineView().draw(frame, verdict("OK"))
    assert view.shape == (HEIGHT + BAR, WIDTH + STRIP, 3)
    assert view.dtype == np.uint8
    assert has(view[:HEIGHT, :WIDTH], tiny.BGR["blue"])


def test_frame_is_shown_whole_and_not_changed() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[0, 0], frame[-1, -1] = (1, 2, 3), (4, 5, 6)
    before = frame.copy()
    view = LineView().draw(frame, None)
    assert np.array_equal(view[:HEIGHT, :WIDTH], frame)
    LineView().draw(frame, verdict("NG", "scratch"))
    assert np.array_equal(frame, before)


@pytest.mark.parametrize("kind", COLOURS)
def test_verdict_is_shown_by_its_colour_around_the_picture_and_in_the_bar(kind: str) -> None:
    label = None if kind == "FAULT" else "ok"
    view = LineView().draw(np.zeros((480, 640, 3), np.uint8), verdict(kind, label, reason="no frame came"))
    assert has(view[:HEIGHT, :WIDTH], COLOURS[kind])
    assert has(view[HEIGHT:, :150], COLOURS[kind])
    for other, colour in COLOURS.items():
        if other != kind:
            assert not has(view[:HEIGHT, :WIDTH], colour)


def test_frame_between_parts_keeps_the_last_verdict_in_the_bar_only() -> None:
    lines, black = LineView(), np.zeros((480, 640, 3), np.uint8)
    lines.draw(black, verdict("NG", "chip"))
    view = lines.draw(black, None)
    assert not has(view[:HEIGHT, :WIDTH], COLOURS["NG"])
    assert has(view[HEIGHT:, :150], COLOURS["NG"])


def test_counts_change_the_bar_and_the_last_four_stay_in_the_strip() -> None:
    lines, black = LineView(), np.zeros((480, 640, 3), np.uint8)
    seen = [lines.draw(black, verdict("OK")) for _ in range(3)]
    assert not np.array_equal(seen[0][HEIGHT:, 400:], seen[1][HEIGHT:, 400:])
    for colour in ("red", "green", "blue", "red"):
        view = lines.draw(tiny.plain(colour), verdict("OK"))
    strip = view[:HEIGHT, WIDTH:]
    assert all(has(strip, tiny.BGR[colour]) for colour in ("red", "green", "blue"))
    for _ in range(3):
        view = lines.draw(tiny.plain("red"), verdict("OK"))
    assert not has(view[:HEIGHT, WIDTH:], tiny.BGR["green"])


@pytest.mark.parametrize("text", ["Ölfleck 部品", "x" * 500, "", "two\nlines", "%s %d {}"])
def test_any_label_and_reason_can_be_drawn(text: str) -> None:
    frame = tiny.plain("grey")
    assert LineView().draw(frame, verdict("NG", text or "ok", part=10**9)).shape[2] == 3
    assert LineView().draw(frame, verdict("FAULT", None, reason=text)).shape[2] == 3
