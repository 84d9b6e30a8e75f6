"""A net is exported with the classifier that its weights bring along, and judged by photographs that the export never saw."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgetl.benchmarks.imagenet_agreement import compared, measure, table
from edgetl.benchmarks.kept_classifier import ANSWERS_NAME, write_run
from edgetl.benchmarks.photograph_crops import JUDGED, SHARES, Source, write_crops
from edgetl.errors import EdgetlError
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.runtime.sim import draw_picture
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network, pixels_of
from edgetl.trainer.run_folder import read_run

NAME, SIZE, CLASSES = "resnet_tiny", 32, 10
SOURCES = (Source("a", "a", crops=20), Source("b", "b", crops=1, judges=False), Source("b", "c", crops=1, judges=True))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn parts in place of photographs: a thing twice, then each once."""
    made = tmp_path_factory.mktemp("photographs")
    names = [f"a/{n}.png" for n in ("cat_1", "cat_2", *"defghijk")] + [
        f"{f}/{f}{n}.png" for f in "bc" for n in range(9)
    ]
    for seed, name in enumerate(names):
        (made / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(made / name), draw_picture(seed, "ok", 120, 90))
    return made


@pytest.fixture(scope="module")
def crops(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crops(root, tmp_path_factory.mktemp("crops") / "pictures", SOURCES)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_no_photograph_is_on_both_sides(crops: Path) -> None:
    sides = [names(crops / JUDGED), set().union(*(names(crops / split) for split in (*SHARES, "train")))]
    things = [{tuple(name.split("-")[:2]) if "cat" not in name else "cat" for name in side} for side in sides]
    assert things[0] and things[1] and not things[0] & things[1]
    assert sum(map(len, sides)) == 10 * 20 + 9 + 9
    assert {split: len(names(crops / split)) for split in SHARES} == SHARES


def test_crops_are_the_same_again(root: Path, crops: Path, tmp_path: Path) -> None:
    again = write_crops(root, tmp_path / "pictures", SOURCES)
    for path in crops.rglob("*.png"):
        assert (again / path.relative_to(crops)).read_bytes() == path.read_bytes()
        height, width = read_picture(path).shape[:2]
        assert height == width and 45 <= height <= 90


def donor() -> Network:
    torch.manual_seed(0)
    return Network(describe(NAME), CLASSES, SIZE).eval()


@pytest.mark.slow
def test_tiny_net_is_exported_with_its_own_classifier_and_judged(crops: Path, tmp_path: Path) -> None:
    net = donor()
    torch.save({f"renamed.{name}": tensor for name, tensor in net.net.state_dict().items()}, tmp_path / "net.pth")
    run = write_run(NAME, tmp_path / "net.pth", CLASSES, SIZE, crops, tmp_path / "run")
    assert torch.equal(read_run(run).network().head.weight, net.head.weight)
    judged = sorted((crops / JUDGED).iterdir())
    images = np.stack([preprocess(read_picture(path), Preprocessing(size=SIZE)) for path in judged])
    with torch.no_grad():
        wanted = net(pixels_of(torch.from_numpy(images))).numpy()
    np.testing.assert_allclose(np.load(run / ANSWERS_NAME), wanted, atol=1e-4)
    assert not {record.path.rpartition("/")[2] for record in read_run(run).splits} & names(crops / JUDGED)
    row = measure(run, judged, "mse")
    assert set(row["files"]) == {"model/int8.tflite", "model/int8.onnx"}
    for found in row["files"].values():
        assert found["same"]["all"]["n"] == len(judged) and found["correlation"] > 0.9
    assert len(table([row]).splitlines()) == 4


@pytest.mark.slow
def test_weights_without_that_classifier_are_refused(
    crops: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.save(donor().net.state_dict(), tmp_path / "net.pth")
    with pytest.raises(EdgetlError, match="its own classifier: exit code 1"):
        write_run(NAME, tmp_path / "net.pth", CLASSES + 1, SIZE, crops, tmp_path / "run")
    assert f"holds no classifier of {CLASSES + 1} classes for {NAME}" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_agreement_is_that_of_first_classes_by_source() -> None:
    exact = np.eye(4, dtype=np.float32)
    found = exact.copy()
    found[3, 0] = 2.0
    told = compared(exact, found, ["a", "a", "b", "b"])
    assert [told["same"][name]["percent"] for name in ("all", "a", "b")] == [75.0, 100.0, 50.0]
    assert told["same"]["all"]["low"] < 75.0 < told["same"]["all"]["high"] and told["correlation"] < 1.0
    assert compared(exact, exact, ["a"] * 4)["correlation"] == 1.0
