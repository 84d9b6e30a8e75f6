"""`edgetl embed`: whose features lie in the file, and how they were made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch

from edgetl.runtime.dataset import sha256_of
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network, pixels_of
from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused
from tests.trainer.clip_models import write_tiny_clip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, six dark and six bright pictures each, of which two are for testing."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(12):
        split, label, light = (
            ("test" if number < 4 else "train"),
            ("dark", "light")[number % 2],
            40 + 120 * (number % 2),
        )
        path = folder / split / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.clip(random.normal(light, 20, (48, 64, 3)), 0, 255).astype(np.uint8))
    return folder


def test_file_holds_each_pictures_features_and_how_to_make_them_again(pictures: Path, tmp_path: Path) -> None:
    """Read without pickles; one picture's features computed by hand from what the file says."""
    torch.manual_seed(0)
    donor = Network(describe("mobilenet_v2_050"), 7, 64).eval()
    torch.save(donor.net.state_dict(), tmp_path / "w.pth")
    out = tmp_path / "f.npz"
    done = call("embed", "--data", pictures, "--model", "mobilenet_v2_050", "--weights", tmp_path / "w.pth", "--out", out,
                "--imgsz", 64, "--resize", "fit-longest", "--json")  # fmt: skip
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert (said["pictures"], said["features"], said["weights"]) == (12, 1280, "w.pth")
    with np.load(out, allow_pickle=False) as file:
        held = dict(file)
    assert held["features"].shape == (12, 1280) and held["features"].dtype == np.float32
    assert held["classes"].tolist() == ["dark", "light"]
    assert [str(p).split("/")[:2] for p in held["paths"]] == [
        list(x) for x in zip(held["splits"], held["labels"], strict=True)
    ]
    how = msgspec.json.decode(str(held["preprocessing"]), type=Preprocessing)
    assert (how.size, how.resize) == (64, "fit-longest")
    for row in (0, 11):
        path = pictures / str(held["paths"][row])
        assert held["sha256"][row] == sha256_of(path)
        image = torch.from_numpy(preprocess(read_picture(path), how)[None])
        with torch.inference_mode():
            by_hand = donor.features(pixels_of(image))[0].numpy()
        assert np.allclose(held["features"][row], by_hand, rtol=1e-3, atol=1e-4)


def test_table_says_how_far_handfuls_get(pictures: Path) -> None:
    done = call("embed", "--data", pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32, "--shots",
                "3,1", "--draws", 3, "--json")  # fmt: skip
    rows = json.loads(done.out)["handfuls"]
    assert [row["shots"] for row in rows] == [1, 3, None]
    for row in rows:
        assert 0 <= row["linear"]["interval"]["low"] <= row["linear"]["mean"] <= 1
    table = call(
        "embed", "--data", pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32, "--shots", 1
    ).out
    assert [line.split()[0] for line in table.splitlines()] == ["pictures", "1", "all"]


def test_image_tower_of_a_clip_model(pictures: Path, tmp_path: Path) -> None:
    """Its own size and its own normalization count; other weights give other features."""
    config, weights = write_tiny_clip(tmp_path)
    _, others = write_tiny_clip(tmp_path, seed=1)
    found = []
    for file in (weights, weights, others):
        assert (
            call(
                "embed", "--data", pictures, "--model", f"clip:{config}", "--weights", file, "--out", tmp_path / "c.npz"
            ).code
            == 0
        )
        with np.load(tmp_path / "c.npz") as held:
            found.append(held["features"])
            assert json.loads(str(held["preprocessing"]))["size"] == 32
            assert (str(held["model"]), str(held["weights"])) == ("clip:tiny_clip", file.name)
    assert found[0].shape == (12, 16)
    assert np.array_equal(found[0], found[1]) and not np.allclose(found[0], found[2], atol=1e-2)


def test_vision_transformer_and_dinov2(pictures: Path, tmp_path: Path) -> None:
    for model, size, width in (("test_vit", 64, 64), ("vit_small_patch14_dinov2.lvd142m", 56, 384)):
        done = call(
            "embed",
            "--data",
            pictures,
            "--model",
            model,
            "--weights",
            "none",
            "--imgsz",
            size,
            "--out",
            tmp_path / "v.npz",
            "--json",
        )
        assert done.code == 0, done.err
        assert json.loads(done.out)["features"] == width


def test_run_brings_its_weights_and_its_preprocessing(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    """And only the pictures judge that it kept for testing, since of the others it knows too much."""
    undivided = tmp_path / "undivided"
    for split in ("train", "test"):
        shutil.copytree(small_data / split, undivided, dirs_exist_ok=True)
    out = tmp_path / "r.npz"
    done = call("embed", "--data", undivided, "--model", small_run, "--out", out, "--shots", 1, "--draws", 2, "--json")
    assert done.code == 0, done.err
    said, run = json.loads(done.out), read_run(small_run)
    assert said["weights"] == f"run:{small_run.name}"
    with np.load(out) as held:
        assert json.loads(str(held["preprocessing"])) == msgspec.to_builtins(run.record.preprocessing)
    refused(
        call("embed", "--data", undivided, "--model", small_run, "--imgsz", 96, "--out", out),
        2,
        "E_USAGE",
        "its own weights",
    )


def test_what_was_at_the_path_stays_where_the_disk_is_full(pictures: Path, full_disk: Path) -> None:
    out = full_disk / "f.npz"
    refused(
        call("embed", "--data", pictures, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32, "--out", out),
        1, "E_STORAGE", "the disk is full",
    )  # fmt: skip
    assert not out.exists() and not list(full_disk.glob(".f.npz*"))


@pytest.mark.parametrize(
    ("flags", "code", "kind", "words"),
    [
        ((), 2, "E_USAGE", "--shots 1,5,10"),
        (("--model", "mobilenet_v9", "--shots", 1), 2, "E_USAGE", "did you mean"),
        (("--model", "clip:ViT-B32", "--shots", 1), 2, "E_USAGE", "did you mean ViT-B-32"),
        (("--model", "clip:gone.json", "--shots", 1), 2, "E_USAGE", "no such file"),
        (("--weights", "gone.pth", "--shots", 1), 2, "E_USAGE", "no such file"),
        (("--weights", "none", "--imgsz", 32, "--shots", 5), 2, "E_DATASET", "class 'dark' has 4 distinct pictures: at most 4 can be drawn, not 5"),
        (("--data", "gone", "--shots", 1), 2, "E_DATASET", "no such folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(
    pictures: Path, flags: tuple[str, ...], code: int, kind: str, words: str
) -> None:
    refused(call("embed", "--data", pictures, "--model", "mobilenet_v2_050", *flags), code, kind, words)


def test_folder_without_a_readable_picture(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.png").write_bytes(b"no picture")
    answer = call(
        "embed", "--data", tmp_path, "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 32, "--shots", 1
    )
    refused(answer, 2, "E_DATASET", "none of its pictures can be read", "a/x.png")
