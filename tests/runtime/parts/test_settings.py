"""The line's file says what was meant, or is refused with file, line and what is allowed, before anything opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.runtime.config import LineConfig, load_line
from edgetl.runtime.parts.settings import GpioTrigger, PictureTrigger, TimerTrigger
from tests.conftest import ROOT


def read(tmp_path: Path, text: str) -> LineConfig:
    path = tmp_path / "line.yaml"
    path.write_text(text)
    return load_line(path)


def test_every_section_is_read(tmp_path: Path) -> None:
    line = read(tmp_path, """\
trigger: {type: gpio, line: 17, edge: falling, frames: 5, delay_s: 0.3}
regions:
  - {name: left, box: [0, 0, 0.5, 1]}
  - {name: right, box: [320, 0, 640, 480], expect: [hole, none], min_score: 0.9}
voting: {method: any-ng, min_frames: 2}
reject:
  pin: {line: 5, active: low}
  on: [NG]
  encoder: {line: 6, distance: 1250}
  ready: {line: 7, toggle_s: 0.5}
""")  # fmt: skip
    assert line.trigger == GpioTrigger(line=17, edge="falling", frames=5, delay_s=0.3)
    assert [(r.name, r.expect) for r in line.regions] == [("left", None), ("right", ("hole", "none"))]
    assert (line.voting.method, line.voting.min_frames) == ("any-ng", 2)
    assert line.reject is not None and line.reject.encoder is not None and line.reject.ready is not None
    assert (line.reject.on, line.reject.encoder.distance, line.reject.ready.toggle_s) == (("NG",), 1250, 0.5)


def test_kinds_of_trigger_are_told_apart(tmp_path: Path) -> None:
    assert read(tmp_path, "trigger: {type: timer, every_s: 2}").trigger == TimerTrigger(every_s=2)
    assert read(tmp_path, "trigger: {type: picture}").trigger == PictureTrigger()


def test_example_of_the_documents_is_valid() -> None:
    line = load_line(ROOT / "docs" / "examples" / "screws.yaml")
    assert [r.expect for r in line.regions] == ["screw"] * 4


@pytest.mark.fault("P1")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trigger: {type: laser}", "line.yaml:1: trigger"),
        ("\ntrigger: {type: timer}", "line.yaml:2: trigger: object missing required field `every_s`"),
        ("trigger: {type: timer, every_s: -1}", "line.yaml:1: trigger.every_s: expected `float` > 0"),
        ("trigger: {type: timer, every: 1}", "unknown key 'trigger.every'; did you mean 'every_s'?"),
        ("trigger: {type: gpio, line: 5000}", "line.yaml:1: trigger.line: expected `int` <= 1023"),
        ("trigger: {type: picture, enter_share: 0.01}", "leave_share must be below enter_share"),
        ("trigger: {type: picture, zone: [0.5, 0, 0.2, 1]}", "box [0.5, 0.0, 0.2, 1.0] must be"),
        ("trigger: {type: http, host: 0.0.0.0}", "set token_env"),
        ("regions: [{name: a, box: [0, 0, 1]}]", "line.yaml:1: regions[0].box"),
        ("regions:\n  - {name: a, box: [0, 0, 1, 1]}\n  - {box: [0, 0, 1, 1]}", "line.yaml:3: regions[1]"),
        ("voting: {method: majorty}", "is not one of majority, mean, any-ng"),
        ("trigger: {type: picture, frames: 2}\nvoting: {min_frames: 3}", "min_frames 3 is more than the 2 frames"),
        ("voting: {min_frames: 2}", "min_frames 2 is more than the 1 frames"),
        ("reject: {pin: {line: 5}}", "give either delay_s or encoder"),
        ("reject: {pin: {line: 5}, delay_s: 1, on: [BAD]}", "is not one of OK, NG, UNKNOWN, FAULT"),
        ("reject: {pin: {line: 5}, delay_s: .nan}", "no number that can be meant"),
    ],
)
def test_mistake_is_named_by_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert "line.yaml" in str(caught.value)
