"""What a loop says is read rightly, and all learn from the pictures that edgetl learned from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgetl.benchmarks.peers.folders import in_folders
from edgetl.benchmarks.peers.loops import Work, judged_right, trained
from edgetl.errors import EdgetlError

TELLS = """
import json, sys
work = json.loads(sys.argv[1])
print("not for us")
for epoch in range(work["epochs"]):
    print(json.dumps({"seconds": 0.5, "pictures": work["batch"], "at": epoch + 1.0}))
if work["seconds"]:
    print(json.dumps({"truth": ["a", "a", "a", "b"], "guessed": ["a", "a", "b", "b"]}))
"""


def test_loop_is_given_the_work_and_its_lines_are_read(tmp_path: Path) -> None:
    work = Work(tmp_path, "net", 32, 8, 0, epochs=2, seconds=3.0)
    done = trained(Path(sys.executable), TELLS, work, tmp_path, "other")
    assert done.epochs == [{"seconds": 0.5, "pictures": 8, "at": n} for n in (1.0, 2.0)]
    assert done.balanced_accuracy == 83.33
    with pytest.raises(EdgetlError, match="other ended without an epoch"):
        trained(Path(sys.executable), TELLS, Work(tmp_path, "net", 32, 8, 0), tmp_path, "other")


def test_class_that_is_only_guessed_counts_as_wrong() -> None:
    assert judged_right({"truth": ["a", "b"], "guessed": ["a", "c"]}) == 50.0


def test_splits_of_a_run_become_folders(tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    samples = [
        ("x/1.jpg", "x", "train"),
        ("y/x/1.jpg", "x", "train"),
        ("y/2.jpg", "y", "val"),
        ("y/3.jpg", "y", "test"),
    ]
    for path, _, _ in samples:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text(path)
    run.mkdir()
    told = [{"path": path, "label": label, "split": split, "sha256": ""} for path, label, split in samples]
    told[1]["calibrates"] = True
    (run / "splits.json").write_text(json.dumps(told))
    for under, calibrates in (({}, "train"), ({"calibration": "shown"}, "shown")):  # another round begins anew
        out = in_folders(run, data, tmp_path / "out", {"train": "train", "val": "val", **under})
        found = {str(p.relative_to(out)): p.read_text() for p in out.rglob("*.jpg")}
        assert found == {
            "train/x/x_1.jpg": "x/1.jpg",
            f"{calibrates}/x/y_x_1.jpg": "y/x/1.jpg",
            "val/y/y_2.jpg": "y/2.jpg",
        }
