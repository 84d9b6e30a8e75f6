"""The root command: fast, honest about what is missing, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgetl import __version__
from edgetl.cli import COMMANDS, root
from tests.cli.calling import call, refused
from tests.conftest import edgetl

HEAVY = (
    "numpy",
    "cv2",
    "torch",
    "torchvision",
    "timm",
    "tensorflow",
    "onnx",
    "matplotlib",
    "msgspec",
    "yaml",
    "edgetl.runtime",
    "edgetl.trainer",
)


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    program = f"import sys\nfrom edgetl.cli import call\ncode = call(['--help'])\nprint('loaded:', *[n for n in {HEAVY!r} if n in sys.modules])\nsys.exit(code)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "loaded:"
    rows = lines[lines.index("Commands:") + 1 : -1]
    shown = [row.split()[0] for row in rows if row.startswith("  ") and row[2] != " "]
    assert shown == list(COMMANDS)


def test_console_script_and_module_are_the_same_program() -> None:
    script = Path(sys.executable).parent / "edgetl"
    if not script.exists():
        pytest.skip("needs the package to be installed (pip install --editable .)")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == edgetl("--version").stdout == f"edgetl, version {__version__}\n"


def commands_of(group: click.Group, *above: str) -> list[str]:
    """Every command below a group, by its whole name."""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += commands_of(command, *above, name) if isinstance(command, click.Group) else [" ".join((*above, name))]
    return found


@pytest.mark.parametrize("name", sorted(commands_of(root)))
def test_every_command_has_help_and_speaks_to_machines(name: str) -> None:
    answer = call(*name.split(), "--help")
    assert answer.code == 0, answer.err
    assert f"Usage: edgetl {name} " in answer.out
    assert "--json" in answer.out or name.startswith("slot ")  # those are for machines alone
    assert len(answer.out.splitlines()) > 5


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["exprot"], "edgetl"),
        (["train", "--colour", "red"], "edgetl train"),
        (["train", "--recipe", "guess"], "edgetl train"),
        (["train"], "edgetl train"),
        (["export"], "edgetl export"),
        (["bench"], "edgetl bench measure"),
        (["decide", "run", "--max-escape", "200%"], "edgetl decide"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_with_exit_code_2_and_where_help_is(words: list[str], where: str) -> None:
    answer = call(*words)
    assert answer.out == "" and len(answer.err.splitlines()) == 1
    refused(answer, 2, "E_USAGE", f"; see {where} --help")


def test_no_command_shows_the_help() -> None:
    done = edgetl()
    assert "Commands:" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


ABSENT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from edgetl.cli import call
sys.exit(call(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("torch", "train", ["train", "--data", "x", "--model", "mobilenet_v2", "--weights", "none", "--out"]),
        ("matplotlib", "train", ["train", "--data", "x", "--model", "mobilenet_v2", "--weights", "none", "--out"]),
        ("torch", "train", ["export", "x", "--out"]),
        ("cv2", "device", ["bench", "x", "--out"]),
    ],
)
def test_missing_part_names_the_extra_that_brings_it(tmp_path: Path, module: str, extra: str, words: list[str]) -> None:
    """A finder that knows no such module stands in for an installation without it."""
    command = [sys.executable, "-c", ABSENT.format(name=module), *words, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3, done.stderr
    assert done.stderr == f"edgetl: E_MISSING_PART: {module} is not installed; run: pip install 'edgetl[{extra}]'\n"


def test_missing_module_of_our_own_is_a_bug_and_not_a_missing_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "broken", ("edgetl.no_such_room", "command", "A row that leads nowhere."))
    with pytest.raises(ModuleNotFoundError):
        call("broken")


def test_results_on_stdout_and_the_rest_on_stderr(small_data: Path, tmp_path: Path) -> None:
    done = edgetl("train", "--data", small_data, "--model", "none_such", "--out", tmp_path / "run", "--json")
    assert done.stdout == ""
    assert done.stderr.startswith("edgetl: E_USAGE: ")
    assert len(done.stderr.splitlines()) == 1


def test_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m edgetl train --help | head -1"], capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_missing_data_folder(tmp_path: Path) -> None:
    answer = call(
        "train", "--data", tmp_path / "none", "--model", "mobilenet_v2", "--weights", "none", "--out", tmp_path / "run"
    )
    refused(answer, 2, "E_DATASET", "none: no such folder")
