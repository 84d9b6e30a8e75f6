"""A wrong configuration is refused with file, line, key and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from edgetl.errors import UsageError
from edgetl.runtime.config.yaml_record import load_record, read_record


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fps: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    format: Literal["MJPG", "YUYV"] = "MJPG"


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="mqtt", tag_field="type"):
    address: str


class Csv(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="csv", tag_field="type"):
    path: str
    max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1000


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    camera: Camera | None = None
    outputs: tuple[Mqtt | Csv, ...] = ()
    pins: dict[str, int] = {}


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_record(text, Line, "line.yaml")
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_right_file_becomes_a_record() -> None:
    text = "camera: {fps: 25}\noutputs:\n- type: csv\n  path: a.csv\n- {type: mqtt, address: broker}\npins: {on: 4}\n"
    line = read_record(text, Line, "line.yaml")
    assert line == Line(Camera(25.0), (Csv("a.csv"), Mqtt("broker")), {"on": 4})


@pytest.mark.parametrize("text", ["", "# nothing but words\n", "---\n"])
def test_an_empty_file_is_all_defaults(text: str) -> None:
    assert read_record(text, Line, "line.yaml") == Line()


@pytest.mark.fault("P1")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("camera:\n  fps: 30\n  fsp: 3\n", "line.yaml:3: unknown key 'camera.fsp'; did you mean 'fps'? Allowed: fps, format"),
        ("\ncamra: {}\n", "line.yaml:2: unknown key 'camra'; did you mean 'camera'? Allowed: camera, outputs, pins"),
        ("camera:\n  fps: fast\n", "line.yaml:2: camera.fps: expected `float`, got `str`"),
        ("camera:\n  fps: -1\n", "line.yaml:2: camera.fps: expected `float` > 0.0"),
        ("camera:\n  fps: .nan\n", "line.yaml:2: .nan is no number"),
        ("camera:\n  fps: .inf\n", "line.yaml:2: .inf is no number"),
        ("camera:\n  format: RGB\n", "line.yaml:2: camera.format: 'RGB' is not one of MJPG, YUYV"),
        ("outputs:\n- {type: csv, path: a}\n- type: csv\n  path: b\n  max_bytes: 0\n", "line.yaml:5: outputs[1].max_bytes: expected `int` >= 1"),
        ("outputs:\n- type: mtqq\n", "line.yaml:2: outputs[0].type: 'mtqq' is not one of mqtt, csv"),
        ("outputs:\n- type: mqtt\n  adress: x\n", "line.yaml:3: unknown key 'outputs[0].adress'; did you mean 'address'?"),
        ("outputs:\n- type: mqtt\n", "line.yaml:2: outputs[0]: object missing required field `address`"),
        ("camera:\n  fps: 3\n  fps: 4\n", "line.yaml:3: 'fps' is given twice"),
        ("camera: [1, 2\n", "line.yaml:2: not valid YAML"),
        ("camera: !!python/object/apply:os.system [ls]\n", "line.yaml:1: not valid YAML"),
        ("- 1\n", "line.yaml:1: the file: expected `object`, got `array`"),
        ("pins: {a: x}\n", "line.yaml:1: pins"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_line_key_and_what_is_allowed(text: str, says: str) -> None:
    assert says in refusal(text)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "line.yaml"
    broken.write_bytes(b"camera: \xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_record(broken, Line)
    with pytest.raises(UsageError, match="cannot read"):
        load_record(tmp_path / "none.yaml", Line)
    broken.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="no configuration"):
        load_record(broken, Line)


def test_an_alias_bomb_is_refused_quickly() -> None:
    text = "a: &a [x]\n" + "".join(
        f"{n}: &{n} [*{p}, *{p}, *{p}, *{p}]\n" for p, n in zip("abcdefghi", "bcdefghij", strict=True)
    )
    assert "unknown key" in refusal(text)
