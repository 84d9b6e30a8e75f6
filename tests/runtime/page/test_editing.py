"""Settings that are written from the page: comments stay, the old file is kept, nothing wrong is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import ConflictError, UsageError
from edgetl.runtime.config import load_line
from edgetl.runtime.page.editing import Editable, LineFile, edited
from edgetl.runtime.parts.settings import RegionSettings
from tests.runtime import tiny

FILE = """\
# Cell 4, press 7. Ask Ayşe before changing the camera.
source: "0"   # the one above the chute
min_score: 0.6
regions:
  # the screw that is forgotten most often
  - name: left
    box: [0.1, 0.1, 0.4, 0.9]
drift:
  window_parts: 100  # slow line
"""
RIGHT = RegionSettings(name="right", box=(0.5, 0.25, 0.75, 1.0), expect="green", min_score=0.8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "line.yaml").write_text(FILE)
    return tmp_path / "line.yaml"


def test_settings_are_shown_as_they_are_in_the_file(path: Path) -> None:
    shown = LineFile(path, tiny.RULE).show()
    assert shown.settings.min_score == 0.6
    assert [r.name for r in shown.settings.regions] == ["left"]
    assert (shown.labels, shown.ok_labels, shown.bundle_min_score) == (tiny.LABELS, ("green",), 0.5)


def test_change_keeps_all_else_and_the_old_file(path: Path) -> None:
    file = LineFile(path, tiny.RULE)
    left = file.show().settings.regions[0]
    file.change(Editable(min_score=0.7, regions=(left, RIGHT)), file.show().version)
    config = load_line(path)
    assert config.min_score == 0.7 and config.regions == (left, RIGHT)
    assert config.drift is not None and config.drift.window_parts == 100
    text = path.read_text()
    for kept in ("# Cell 4, press 7. Ask Ayşe", 'source: "0"   # the one above the chute', "# slow line"):
        assert kept in text
    assert "box: [0.5, 0.25, 0.75, 1.0]" in text
    assert (path.parent / "line.yaml.previous").read_text() == FILE


def test_what_was_not_changed_stays_as_it_was_written() -> None:
    left = RegionSettings(name="left", box=(0.1, 0.1, 0.4, 0.9))
    assert "# the screw that is forgotten most often" in edited(FILE, Editable(min_score=0.5, regions=(left,)))


def test_settings_can_be_taken_away(path: Path) -> None:
    file = LineFile(path, tiny.RULE)
    file.change(Editable(), file.show().version)
    config = load_line(path)
    assert config.min_score is None and config.regions == ()


def test_empty_file_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    path.write_text("")
    file = LineFile(path, tiny.RULE)
    file.change(Editable(regions=(RIGHT,)), file.show().version)
    assert load_line(path).regions == (RIGHT,)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Editable(regions=(RegionSettings(name="a", box=(0, 0, 1, 1), expect="purple"),)), "purple"),
        (Editable(regions=(RIGHT, RIGHT)), "twice"),
        (Editable(regions=tuple(RegionSettings(name=str(n), box=(0, 0, 1, 1)) for n in range(65))), "limit of 64"),
    ],
)
def test_what_the_line_would_refuse_is_not_written(path: Path, settings: Editable, said: str) -> None:
    file = LineFile(path, tiny.RULE)
    with pytest.raises(UsageError, match=said):
        file.change(settings, file.show().version)
    assert path.read_text() == FILE and not (path.parent / "line.yaml.previous").exists()


def test_file_that_somebody_else_changed_is_not_overwritten(path: Path) -> None:
    file = LineFile(path, tiny.RULE)
    version = file.show().version
    path.write_text(FILE + "# by hand\n")
    with pytest.raises(ConflictError, match="changed meanwhile"):
        file.change(Editable(), version)
    assert path.read_text().endswith("# by hand\n")
