"""The demo's report: one page with the pictures that show what happened."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgetl.runtime.files import write_file

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#222}
img,video{max-width:100%;border-radius:6px}pre{background:#f4f4f2;padding:1rem;overflow-x:auto;border-radius:6px}
h1,h2{line-height:1.2}figcaption{color:#666;font-size:.9rem}figure{margin:1.5rem 0}
"""


def write_report(out: Path, summary: dict[str, Any], commands: list[str], table: str) -> None:
    """Writes report.html and its pictures into the demo's folder."""
    write_file(out / "data.png", _png(_contact_sheet(out / "data" / "test")))
    write_file(out / "line.png", _png(_last_reject(out / "line.mp4")))
    figures = (
        ("line.png", "The line: live picture, verdict, counts, and the last parts. The whole run is line.mp4."),
        ("data.png", "Test pictures, a row per class, as the camera gives them."),
        ("confusion_test.png", "The int8 file on the test pictures."),
        ("run/curves.png", "Training."),
    )
    pictures = "".join(
        f'<figure><img src="{name}" alt="{html.escape(text)}"><figcaption>{html.escape(text)}</figcaption></figure>'
        for name, text in figures
        if (out / name).is_file()
    )
    page = (
        f"<!doctype html><meta charset=utf-8><title>edgetl demo</title><style>{_STYLE}</style>"
        f"<h1>edgetl demo</h1><pre>{html.escape(table)}</pre>{pictures}"
        f"<h2>The commands</h2><pre>{html.escape(chr(10).join(commands))}</pre>"
    )
    write_file(out / "report.html", page)


def _png(image: np.ndarray) -> bytes:  # type: ignore[type-arg]
    return cv2.imencode(".png", image)[1].tobytes()


def _contact_sheet(folder: Path, columns: int = 6) -> np.ndarray:  # type: ignore[type-arg]
    """The first pictures of each class, a row per class, with its name."""
    rows = []
    for label in sorted(p for p in folder.iterdir() if p.is_dir()):
        paths = sorted(label.glob("*.jpg"))[:columns]
        cells = [cv2.resize(cv2.imread(str(p)), (160, 120), interpolation=cv2.INTER_AREA) for p in paths]
        row = np.hstack(cells)
        cv2.putText(
            row, label.name.replace("_", " "), (6, 16), cv2.FONT_HERSHEY_DUPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA
        )
        rows.append(row)
    return np.vstack(rows)


def _last_reject(video: Path) -> np.ndarray:  # type: ignore[type-arg]
    """A late frame of the line's video, when the column of last parts is full, with a rejected part if there is one."""
    capture = cv2.VideoCapture(str(video))
    best, best_red = np.zeros((544, 790, 3), np.uint8), -1.0
    number = 0
    while True:
        good, frame = capture.read()
        if not good:
            capture.release()
            return best
        number += 1
        # The frame's border is drawn in the verdict's colour at the moment of the verdict; red means rejected.
        border = frame[3:6, 40:600].reshape(-1, 3).mean(axis=0)
        red = float(border[2] - border[1])
        if number > 60 and red > best_red:
            best, best_red = frame.copy(), red
