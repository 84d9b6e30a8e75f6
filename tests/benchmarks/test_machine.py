"""A machine is described by what figures depend on, and gives no number of its own away."""

from __future__ import annotations

import os
from pathlib import Path

from edgetl.benchmarks.machine import differences, kind_of, machine


def board(folder: Path, serial: str = "10000000abcdef01") -> Path:
    """The system files of an arm64 board."""
    for name, text in {
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp\n\nModel\t\t: Sample Board 5 Rev 1.0\n",
        "proc/meminfo": "MemTotal:        4045312 kB\n",
        "proc/device-tree/model": "Sample Board 5 Rev 1.0\0",
        "proc/device-tree/serial-number": f"{serial}\0",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "ondemand\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_board_is_described(tmp_path: Path) -> None:
    found = machine(board(tmp_path))
    assert found["board"] == found["processor"] == "Sample Board 5 Rev 1.0"
    assert (found["memory_mb"], found["governor"], found["int8_instructions"]) == ("3950", "ondemand", "asimddp")
    assert found["cores"] == str(len(os.sched_getaffinity(0)))
    assert "numpy " in found["libraries"] and "ai-edge-litert " in found["libraries"]


def test_two_of_a_kind_are_told_apart_without_their_numbers(tmp_path: Path) -> None:
    one, two = machine(board(tmp_path / "1")), machine(board(tmp_path / "2", "10000000abcdef02"))
    assert one["serial"] != two["serial"] and "abcdef" not in "".join(one.values())
    assert differences(one, two) == [f"serial: {one['serial']} and {two['serial']}"]
    assert differences(one, one) == []
    assert kind_of(one) == kind_of(two)


def test_hardware_is_told_before_software() -> None:
    one, two = {"python": "3.11", "processor": "a"}, {"python": "3.12", "processor": "b"}
    assert differences(one, two) == ["processor: a and b", "python: 3.11 and 3.12"]


def test_machine_without_such_files_is_described_all_the_same(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert all(found.values()) and found["board"] == found["serial"] == "not known"
