"""Closed pipes, plain locales, no HOME, folders that cannot be written: works or says why, and never a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import edgetl
from tests.runtime import pictures as pic
from tests.runtime import tiny

EDGETL = f"{shlex.quote(sys.executable)} -m edgetl"


def shell(script: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60, **more)  # type: ignore[call-overload, no-any-return]


@pytest.mark.fault("P4")
@pytest.mark.parametrize("reader", ["head -1", "true"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_reader_that_goes_away_is_no_error(tiny_bundle: Path, reader: str, form: str) -> None:
    run = f"{EDGETL} run {tiny_bundle} --source sim:parts=60,pace=fast,width=160,height=120 --interpreter litert --threads 1"
    done = shell(f"set -o pipefail; {run} {form} | {reader}")
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr, done.stderr
    assert done.returncode in (0, 141), done.stderr
    assert len(done.stdout.splitlines()) == (1 if reader == "head -1" else 0)


@pytest.mark.fault("P4")
@pytest.mark.parametrize("command", ["verify", "run"])
def test_closed_output_is_no_traceback(tiny_bundle: Path, command: str) -> None:
    more = "--source sim:parts=2,pace=fast --interpreter litert --threads 1" if command == "run" else ""
    done = shell(f"{EDGETL} {command} {tiny_bundle} {more} >&-")
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.fault("P4")
def test_plain_locale_and_no_home_do_not_matter(tiny_bundle: Path, tmp_path: Path) -> None:
    pic.save(tmp_path / "Prüfteile ü" / "Ölfleck 部品.png", tiny.plain("green"))
    for clean in ("env -i LC_ALL=C", "env -i LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"):
        for form in ("", "--json"):
            source = shlex.quote(str(tmp_path / "Prüfteile ü"))
            done = shell(f"{clean} {EDGETL} run {tiny_bundle} --source {source} --interpreter litert {form}")
            assert done.returncode == 0, done.stderr
            assert "green" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.fault("P4")
def test_name_that_is_no_text_is_judged(tiny_bundle: Path, tmp_path: Path) -> None:
    """Names are bytes to the file system; this one is Latin-1 and so no UTF-8."""
    (tmp_path / "parts").mkdir()
    for name in (b"Pr\xfcfling.png", b"B\xf6se.png"):
        path = os.path.join(os.fsencode(tmp_path / "parts"), name)  # noqa: PTH118
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(tiny.png(tiny.plain("green")) if b"P" in name else b"no picture")
    for form in (["--json"], []):
        done = edgetl("run", tiny_bundle, "--source", tmp_path / "parts", "--interpreter", "litert", *form)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("fling.png") == 1 and "FAULT" in done.stdout


@pytest.mark.fault("P4")
def test_error_about_a_foreign_name_in_a_plain_locale(tmp_path: Path) -> None:
    missing = shlex.quote(str(tmp_path / "Prüfling 部品.edgetl"))
    done = shell(f"env -i LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {EDGETL} verify {missing}")
    assert done.returncode == 2
    assert "E_USAGE" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.fault("P4")
def test_folder_that_cannot_be_written_and_a_home_that_is_not_there(tiny_bundle: Path) -> None:
    env = {"HOME": "/nowhere", "PATH": os.environ["PATH"]}
    for arguments in (("verify", tiny_bundle), ("run", tiny_bundle, "--source", "sim:parts=1,pace=fast")):
        done = edgetl(*arguments, cwd="/proc", env=env)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.fault("P4")
def test_full_output_device_says_why(tiny_bundle: Path) -> None:
    done = shell(f"{EDGETL} verify {tiny_bundle} > /dev/full")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
