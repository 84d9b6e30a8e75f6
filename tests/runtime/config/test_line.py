"""`edgetl run --config`: the file is checked before anything is opened, and flags overrule it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.runtime.config import load_line
from tests.conftest import edgetl
from tests.runtime import tiny


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "line.yaml"


@pytest.mark.fault("P1")
def test_check_names_the_mistake_without_a_bundle_or_a_camera(config: Path) -> None:
    config.write_text("source: 0\nsuorce: /dev/video9\n")
    done = edgetl("run", "none.edgetl", "--config", config, "--check")
    assert done.returncode == 2
    assert f"E_USAGE: {config}:2: unknown key 'suorce'; did you mean 'source'? Allowed: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.fault("P1")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reject: {pin: {line: 5}, delay_s: 1, ready: {line: 5}}", "reject.pin and reject.ready"),
        ("reject: {pin: {line: 5}, delay_s: 1}\ntrigger: {type: gpio, line: 5}", "trigger and reject.pin"),
        (
            "reject: {pin: {line: 4}, delay_s: 1}\noutputs: [{type: gpio, pins: [{line: 5, on: [OK]}, {line: 4, on: [NG]}]}]",
            "reject.pin and outputs[0].pins[1]",
        ),
    ],
)
def test_pin_that_two_sections_name_is_refused(config: Path, text: str, told: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match=re.escape(f"{told} both name /dev/gpiochip0, line")):
        load_line(config)
    config.write_text(text.replace("pin: {line: ", "pin: {chip: /dev/gpiochip1, line: "))
    assert load_line(config).reject is not None, "the same line of two chips is two pins"


def test_check_of_a_valid_file_says_so(config: Path) -> None:
    config.write_text("source: 'sim:'\n")
    done = edgetl("run", "none.edgetl", "--config", config, "--check")
    assert (done.returncode, done.stdout.strip()) == (0, "the configuration is valid")


def test_the_source_of_the_file_is_used_and_a_flag_overrules_it(config: Path, tmp_path: Path) -> None:
    bundle = tiny.write(tmp_path / "tiny.edgetl")
    config.write_text("source: 'sim:parts=2,pace=fast'\n")
    from_file = edgetl("run", bundle, "--config", config, "--json", "--interpreter", "litert")
    assert json.loads(from_file.stdout.splitlines()[-1])["summary"]["line"]["parts"] == 2
    by_flag = edgetl(
        "run", bundle, "--config", config, "--source", "sim:parts=1,pace=fast", "--json", "--interpreter", "litert"
    )
    assert json.loads(by_flag.stdout.splitlines()[-1])["summary"]["line"]["parts"] == 1


def test_without_any_source_the_command_says_where_to_name_one(tmp_path: Path) -> None:
    done = edgetl("run", tmp_path / "none.edgetl")
    assert done.returncode == 2 and "--source" in done.stderr
