"""Writes a parity report as one HTML page that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path

import cv2
import jinja2
import msgspec

from edgetl.exporter.parity.chart import margin_chart
from edgetl.exporter.parity.record import Comparison, Flip, Report, Row
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Image

_THUMBNAIL = 168  # px, the longer side
_MOST_CARDS = 60


class Card(msgspec.Struct, frozen=True):
    """A picture whose label changed in at least one model that ships, with what each of those said."""

    picture: str
    thumbnail: str
    flips: tuple[tuple[Row, Flip], ...]

    @property
    def kind(self) -> str:
        """The worst of its flips."""
        kinds = {flip.kind for _, flip in self.flips}
        return next(kind for kind in ("lost", "moved", "gained") if kind in kinds)


def write_page(report: Report, data: Path) -> str:
    """The page; `data` holds the pictures for the thumbnails."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(percent=_percent, points=_points, short=short_name)
    template = environment.from_string((files("edgetl.exporter.parity") / "page.html.j2").read_text())
    shipped = [row for row in report.rows if row.ships and row.comparison is not None]
    cards = _cards(shipped, data)
    return template.render(
        report=report,
        shipped=shipped,
        cards=cards[:_MOST_CARDS],
        left_out=max(0, len(cards) - _MOST_CARDS),
        charts=[(row, margin_chart(row.comparison.margins)) for row in _one_a_model(shipped) if row.comparison],
        fits=_merged_fits(report),
    )


def _one_a_model(rows: list[Row]) -> list[Row]:
    """The first row of each model: the library that stands first on this machine."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.model, row)
    return list(first.values())


def _cards(shipped: list[Row], data: Path) -> list[Card]:
    found: dict[str, list[tuple[Row, Flip]]] = {}
    for row in shipped:
        comparison: Comparison | None = row.comparison
        for flip in comparison.flips if comparison else ():
            found.setdefault(flip.picture, []).append((row, flip))
    cards = [Card(picture, _thumbnail(data / picture), tuple(flips)) for picture, flips in found.items()]
    order = {"lost": 0, "moved": 1, "gained": 2}
    return sorted(cards, key=lambda card: (order[card.kind], -len(card.flips), card.picture))


def _thumbnail(path: Path) -> str:
    frame: Image = decode(read_bytes(path), path.name)
    scale = _THUMBNAIL / max(frame.shape[:2])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def _merged_fits(report: Report) -> list[tuple[str, str]]:
    """Targets with the same outcome share a line: their titles, and what becomes of the operators there."""
    merged: dict[str, list[str]] = {}
    for found in report.fits:
        refusal, others = found.refusal(), len(found.broken) - 1
        told = found.words().partition(": ")[2]
        if refusal:
            told = f"not as it is: {refusal}" + (f" (and {others} more that it does not take)" if others > 0 else "")
        merged.setdefault(f"{short_name(found.model)}: {told}", []).append(found.title)
    return [(", ".join(titles), told) for told, titles in merged.items()]


def short_name(model: str) -> str:
    """`int8 TFLite` for `model/int8.tflite`."""
    names = {".tflite": "TFLite", ".onnx": "ONNX"}
    stem, _, rest = model.removeprefix("model/").partition(", ")
    precision, dot, ending = stem.partition(".")
    kind = names.get(dot + ending, dot + ending)
    return f"{precision} {kind}{', ' + rest if rest else ''}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}".replace("-", "−")
