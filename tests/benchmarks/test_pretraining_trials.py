"""Ways to pretrain are judged without test pictures, and a run that was cut short goes on."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgetl.benchmarks import pretraining_trials
from edgetl.benchmarks.pretraining_trials import RANDOM, TRIALS, USUAL, folders, main, wanted
from edgetl.benchmarks.real_pictures import SETS
from edgetl.errors import EdgetlError, UsageError
from edgetl.runtime.sim import write_dataset


def test_all_ways_are_tried_unless_some_are_named() -> None:
    assert wanted(()) == [RANDOM, *TRIALS]
    assert wanted(("no marks",)) == ["no marks"]
    with pytest.raises(click.UsageError, match="no bark: not among"):
        wanted(("no bark",))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drawn parts where the public sets would be; their test folders hold nothing that could be decoded."""
    root = tmp_path / "root"
    for folder in SETS.values():
        write_dataset(root / folder, seed=0, pictures_per_class=30, width=64, height=64, splits={"train": 1.0})
        broken = root / folder / "test" / "ok"
        broken.mkdir(parents=True)
        (broken / "0.jpg").write_bytes(b"nothing")
    monkeypatch.setenv("EDGETL_DATA", str(root))
    return root


def test_no_test_picture_is_looked_at(root: Path, tmp_path: Path) -> None:
    found = folders(root, tmp_path)
    assert {*SETS, "drawn part"} == set(found) and all(folder.name == "train" for folder in found.values())
    (root / SETS["trashnet"] / "train").rename(root / "elsewhere")
    with pytest.raises(EdgetlError, match="trashnet/train: not there"):
        folders(root, tmp_path)


@pytest.mark.usefixtures("root")
def test_a_way_is_pretrained_once_and_judged_on_every_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining_trials, "SETS", {"trashnet": SETS["trashnet"]})  # the fewer, the sooner
    out, few = tmp_path / "out", ["--steps", "2", "--pictures", "64"]
    account = ran([str(out), USUAL, *few])
    (row,) = account["rows"]
    assert set(row["found"]) == {"trashnet", "drawn part"} and row["losses"]["formula"] > 0
    account = ran([str(out), USUAL, RANDOM, *few])
    assert [r["name"] for r in account["rows"]] == [USUAL, RANDOM] and account["rows"][0] == row
    with pytest.raises(UsageError, match="holds rows of steps 2, not 3"):
        ran([str(out), "--steps", "3"])


def ran(words: list[str]) -> dict[str, list[dict[str, dict[str, float]]]]:
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, list[dict[str, dict[str, float]]]] = json.loads(done.output.splitlines()[-1])
    return found
