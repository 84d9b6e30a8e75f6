"""The devices that edgetl knows: every file is valid, every number says where it comes from."""

from __future__ import annotations

import itertools
import json
import platform
import re
from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.runtime.device_config import config_text, load_config, names, read_config
from tests.conftest import edgetl

WANTED = {
    "raspberry-pi-3b-plus", "raspberry-pi-4", "raspberry-pi-5", "raspberry-pi-zero-2-w", "jetson-nano",
    "jetson-orin-nano", "jetson-orin-nx", "coral-dev-board", "generic-arm64", "generic-x86-64",
}  # fmt: skip
COMMENT = re.compile(r"\s*# ")
# An address, a file of another project, a benchmark of this one, or who says so in parentheses.
SOURCE = re.compile(
    r"https://\S+|\b\w+/[\w-]+, \w+\.py\b|edgetl\.benchmarks\.\w+|\([^()]*(data sheet|documentation|brief)[^()]*\)"
)
NUMBER = re.compile(r"\s*\w+: \d+(\.\d+)?$")


def test_the_devices_are_there() -> None:
    assert set(names()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_number_stands_right_below_its_source(name: str) -> None:
    """Numbers that follow one another, as those of pins do, may share one."""
    lines = config_text(name).splitlines()
    for number, line in enumerate(lines):
        if NUMBER.fullmatch(line):
            where = f"{name}.yaml:{number + 1}: {line.strip()}"
            above = lines[:number]
            while above and NUMBER.fullmatch(above[-1]):
                above.pop()
            comment = "".join(
                reversed([text.strip("# ") + "\n" for text in itertools.takewhile(COMMENT.match, reversed(above))])
            )
            assert comment, f"{where} has no comment right above it"
            assert SOURCE.search(comment), f"{where} names no source in: {comment}"


@pytest.mark.parametrize("name", sorted(WANTED))
def test_it_is_valid_and_limits_memory_and_space(name: str) -> None:
    config = read_config(name)
    assert config.about
    assert config.budget.memory_mb and config.budget.disk_mb
    assert name.startswith("generic") or (config.model and config.budget.latency_ms and config.pins)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("architecture: aarch64\nthreads: 0\n", ":2: threads:"),
        ("architecture: aarch64\ninterpreter: tensorrt\n", ":2: interpreter: 'tensorrt' is not one of litert"),
        ("architecture: aarch64\nbudget:\n  latency: 3\n", ":3: unknown key 'budget.latency'; did you mean 'latency_ms'?"),
        ("architecture: aarch64\nbudget:\n  latency_ms: -3\n", ":3: budget.latency_ms:"),
        ("architecture: aarch64\npins:\n  chip: /dev/gpiochip0\n", ":2: pins:"),
        ("architecture: aarch64\npaths:\n  root: edgetl\n", ":3: paths.root:"),
        ("architecture: aarch64\npaths:\n  root: /data/$(reboot)\n", ":3: paths.root:"),
        ("architecture: aarch64\npaths:\n  home: /home/pi/edgetl\n", ":2: paths: /home/pi/edgetl: the service does not see"),
    ],
)  # fmt: skip
@pytest.mark.fault("P1")
def test_a_mistake_is_named_by_file_and_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    done = edgetl("device", "configs", path)
    assert done.returncode == 2
    assert f"{path}{said}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_device_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean raspberry-pi-5\?"):
        read_config("raspberry-pi5")


def test_settings_for_another_architecture_do_not_run_here() -> None:
    other = "raspberry-pi-5" if platform.machine() == "x86_64" else "generic-x86-64"
    with pytest.raises(UsageError, match="this machine is"):
        load_config(other)


def test_the_command_lists_explains_and_speaks_to_machines() -> None:
    listed = edgetl("device", "configs")
    assert listed.returncode == 0
    assert {line.split()[0] for line in listed.stdout.splitlines()} >= WANTED
    shown = edgetl("device", "configs", "raspberry-pi-5")
    assert shown.stdout == config_text("raspberry-pi-5")
    read = [json.loads(line) for line in edgetl("device", "configs", "--json").stdout.splitlines()]
    assert {row["name"]: row["threads"] for row in read}["raspberry-pi-5"] == 3
