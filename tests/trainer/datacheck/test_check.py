"""`edgetl data check` finds what was planted in a data set, and nothing in a clean one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import save_file

from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.splits import SPLITS
from tests.cli.calling import call as run
from tests.cli.calling import refused


def picture(seed: int, bright: int = 120, spot: bool = False, side: int = 64) -> np.ndarray[Any, Any]:
    """A noisy plate with its own coarse pattern, so that two seeds are no near-duplicates; `spot` marks a defect."""
    rng = np.random.default_rng(seed)
    pattern = cv2.resize(rng.integers(0, 60, (6, 6, 3), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    image = np.clip(pattern.astype(int) + bright - 30 + rng.integers(-8, 9, (side, side, 3)), 0, 255).astype(np.uint8)
    if spot:
        cv2.circle(image, (side // 2, side // 2), side // 4, (20, 20, 200), -1)
    return image


def write(path: Path, image: np.ndarray[Any, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A clean set: 24 pictures a class."""
    root = tmp_path / "set"
    for i in range(24):
        write(root / "bad" / f"{i}.png", picture(i, spot=True))
        write(root / "good" / f"{i}.png", picture(100 + i))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the smallest net: its features still see a large red spot."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(Network(describe("resnet_tiny"), 2, 64).net.state_dict(), path)
    return path


def check(data: Path, *more: object) -> tuple[int, dict[str, Any]]:
    """Exit code and result of the command, by default without a backbone."""
    done = run("data", "check", data, "--imgsz", 64, "--json", *(more or ("--weights", "none")))
    return done.code, json.loads(done.out)


def kinds(found: dict[str, Any]) -> set[str]:
    return {f["kind"] for f in found["findings"]}


def finding(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(f for f in found["findings"] if f["kind"] == kind)


def test_a_clean_set_passes_without_a_warning(data: Path) -> None:
    code, found = check(data)
    assert code == 0 and found["passed"]
    # The red spot changes the picture's colour, which is honest; nothing else tells the classes apart.
    assert kinds(found) <= {"shortcut-light"}


def test_without_weights_the_rest_of_the_check_stands(data: Path) -> None:
    _, found = check(data)
    assert found["skipped"] and not found["suspects"] and not found["curves"]


@pytest.mark.fault("I4")
def test_one_picture_in_two_classes_fails_the_check_and_names_both(data: Path) -> None:
    shutil.copy(data / "good" / "3.png", data / "bad" / "copy.png")
    code, found = check(data)
    assert code == 1 and not found["passed"]
    assert finding(found, "contradicting-labels")["groups"] == [["bad/copy.png", "good/3.png"]]


@pytest.mark.fault("I4")
def test_one_picture_in_two_splits_fails_the_check(data: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    for name in (SPLITS[0], "test"):
        shutil.copytree(data, split / name)
    for label in ("good", "bad"):
        for path in sorted((split / "test" / label).iterdir())[2:]:
            path.unlink()
    code, found = check(split)
    assert code == 1 and len(finding(found, "leakage")["groups"]) == 4


def test_a_near_duplicate_across_splits_is_named(data: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    shutil.copytree(data, split / "train")
    for i, label in enumerate(("good", "bad")):
        for j in range(3):
            write(split / "test" / label / f"{j}.png", picture(1000 + 10 * i + j, spot=label == "bad"))
    image = cv2.imread(str(split / "train" / "good" / "5.png"))
    assert cv2.imwrite(str(split / "test" / "good" / "again.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    code, found = check(split)
    assert code == 0
    assert finding(found, "near-leakage")["groups"] == [["test/good/again.jpg", "train/good/5.png"]]


def test_a_near_copy_in_another_class_is_named(data: Path) -> None:
    """Saved anew and a little brighter, so that its bytes tell nothing."""
    image = cv2.imread(str(data / "good" / "5.png"))
    brighter = np.clip(image.astype(int) + 1, 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(data / "bad" / "again.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 90])
    code, found = check(data)
    assert code == 0
    assert finding(found, "near-contradiction")["groups"] == [["bad/again.jpg", "good/5.png"]]


def test_good_and_bad_parts_in_one_fixture_are_no_copies_of_each_other(tmp_path: Path) -> None:
    """But for the noise of the camera and a small mark, all pictures are one."""
    plate = picture(7).astype(int)
    for i in range(24):
        numbers = np.random.default_rng(i)
        for label in ("good", "bad"):
            shot = np.clip(plate + numbers.integers(-4, 5, plate.shape), 0, 255).astype(np.uint8)
            if label == "bad":
                cv2.line(shot, (20, 20 + i), (30, 22 + i), (20, 20, 20), 1)
            write(tmp_path / "d" / label / f"{i}.png", shot)
    _, found = check(tmp_path / "d")
    assert "near-contradiction" not in kinds(found)


@pytest.mark.parametrize("mixed", [False, True])
def test_another_camera_for_one_class_is_called_a_shortcut(tmp_path: Path, mixed: bool) -> None:
    """What EXIF says of the camera; where both classes were taken with both, it tells nothing."""
    for i in range(30):
        for label in ("good", "bad"):
            second = i % 2 == 0 if mixed else label == "bad"
            exif = Pillow.Exif()
            exif[271], exif[272] = "Acme", "Two" if second else "One"
            path = tmp_path / "d" / label / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(picture(i + 100 * (label == "bad"))).save(path, exif=exif)
    _, found = check(tmp_path / "d")
    if mixed:
        assert "shortcut-file" not in kinds(found)
    else:
        assert "camera Acme Two: " in finding(found, "shortcut-file")["message"]


def test_damaged_and_few_and_odd_pictures_are_named(data: Path) -> None:
    (data / "good" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    write(data / "good" / "covered.png", np.full((64, 64, 3), 3, np.uint8))
    for i in range(3):
        write(data / "rare" / f"{i}.png", picture(500 + i, bright=160))
    _, found = check(data)
    assert finding(found, "unreadable")["pictures"] == ["good/broken.jpg"]
    assert "rare (3)" in finding(found, "few-pictures")["message"]
    assert finding(found, "odd-brightness")["pictures"][0] == "good/covered.png"
    assert "imbalance" in kinds(found)


def test_a_class_that_is_always_darker_is_called_a_shortcut(tmp_path: Path) -> None:
    for i in range(30):
        write(tmp_path / "d" / "a" / f"{i}.png", picture(i, bright=90))
        write(tmp_path / "d" / "b" / f"{i}.png", picture(100 + i, bright=150))
    _, found = check(tmp_path / "d")
    assert "brightness: b is higher in 100 % of pairs" in finding(found, "shortcut-light")["message"]


def test_one_class_of_many_that_is_always_darker_is_named(tmp_path: Path) -> None:
    """Of four classes it lifts the share of all that light tells by a quarter at most, which would be no finding."""
    for number, label in enumerate("abcd"):
        for i in range(25):
            drawn = picture(100 * number + i, bright=80 if label == "c" else 150)
            write(tmp_path / "d" / label / f"{i}.png", drawn)
    _, found = check(tmp_path / "d")
    told = [f["message"] for f in found["findings"] if f["kind"] == "shortcut-light"]
    assert len(told) == 1
    assert (
        "tell c from the others in 100 % (by chance 50 %); most by brightness: c is lower in 100 % of pairs" in told[0]
    )


def test_a_class_from_another_camera_is_called_a_shortcut(tmp_path: Path) -> None:
    for i in range(30):
        write(tmp_path / "d" / "a" / f"{i}.png", picture(i))
        write(tmp_path / "d" / "b" / f"{i}.png", picture(100 + i, side=80))
    _, found = check(tmp_path / "d")
    assert "size and camera alone tell the class in 100 %" in finding(found, "shortcut-file")["message"]
    assert "sizes" in kinds(found)


def test_wrong_labels_come_first_and_the_report_shows_them(data: Path, tmp_path: Path) -> None:
    for i in (1, 2):
        (data / "bad" / f"{i}.png").rename(data / "good" / f"swapped{i}.png")
    report = tmp_path / "check.html"
    code, found = check(data, "--model", "mobilenet_v2_050", "--weights", "builtin", "--out", report)
    assert code == 0
    first, second = found["suspects"][:2]
    assert {first["path"], second["path"]} == {"good/swapped1.png", "good/swapped2.png"}
    assert (first["label"], first["rather"]) == ("good", "bad")
    assert [c["name"] for c in found["curves"]] == ["balanced accuracy", "bad", "good"]
    assert all(c["needed"]["reach"] == 0.95 for c in found["curves"])
    page = report.read_text()
    assert "pictures needed" in page and "95 % recall" in page
    assert first["path"] in page and page.count("data:image/jpeg;base64") >= 2
    assert "http" not in page.replace("http-equiv", "")


def test_class_of_few_pictures_keeps_nothing_from_the_others(data: Path, tmp_path: Path) -> None:
    for i in range(4):
        write(data / "odd" / f"{i}.png", picture(300 + i, bright=90))
    (data / "bad" / "1.png").rename(data / "good" / "swapped.png")
    report = tmp_path / "check.html"
    _, found = check(data, "--model", "mobilenet_v2_050", "--weights", "builtin", "--out", report)
    assert found["too_few"] == ["odd"] and found["skipped"] is None
    assert [c["name"] for c in found["curves"]] == ["balanced accuracy", "bad", "good"]
    assert found["suspects"][0]["path"] == "good/swapped.png"
    assert "eave out what has fewer than 10 pictures: odd (4)" in report.read_text()


def test_two_classes_of_few_pictures_leave_one_and_nothing_to_tell_apart(data: Path) -> None:
    for label, path in ((p.parent.name, p) for p in sorted(data.glob("*/*.png"))):
        if label == "bad" and int(path.stem) > 3:
            path.unlink()
    _, found = check(data, "--model", "mobilenet_v2_050", "--weights", "builtin")
    assert "fewer than two classes" in found["skipped"] and not found["curves"]


def test_names_are_escaped_in_the_report(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "good" / "3.png", data / "bad" / "<script>alert(1)<.png")
    report = tmp_path / "check.html"
    check(data, "--weights", "none", "--out", report)
    assert "&lt;script&gt;alert" in report.read_text() and "<script" not in report.read_text()


def test_a_weights_file_that_does_not_fit_is_refused(data: Path, weights: Path) -> None:
    done = run("data", "check", data, "--model", "mobilenet_v2_050", "--weights", weights)
    assert done.code == 1 and "does not fit" in done.err


def test_preview_shows_each_class_as_it_is_and_changed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    done = run("data", "preview", data, "--out", out, "--augmentation", "texture", "--imgsz", 64)
    assert done.code == 0
    sheet = cv2.imread(str(out))
    cells = [sheet[20:168, x : x + 148].astype(int) for x in range(0, 7 * 152, 152)]
    assert all(np.abs(cells[0] - cell).mean() > 1 for cell in cells[1:])
    same = tmp_path / "same.png"
    run("data", "preview", data, "--out", same, "--augmentation", "none", "--imgsz", 64)
    sheet = cv2.imread(str(same))
    cells = [sheet[20:168, x : x + 148].astype(int) for x in range(0, 7 * 152, 152)]
    assert all(np.abs(cells[0] - cell).max() <= 1 for cell in cells[1:])


def test_preview_of_a_run_shows_what_that_one_saw(data: Path, tmp_path: Path) -> None:
    done = run("train", "--data", data, "--model", "resnet_tiny", "--recipe", "scratch", "--epochs", 1, "--imgsz", 32,
               "--region", "0,0,0.5,0.5", "--augmentation", "part", "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(run("data", "preview", tmp_path / "run", "--out", tmp_path / "run.png", "--json").out)
    assert found["augmentation"] == "part" and found["rows"] == 4
    splits = json.loads((tmp_path / "run/splits.json").read_bytes())
    first = next(p["path"] for p in splits if p["split"] == "train" and p["label"] == "bad")
    seen = preprocess(read_picture(data / first), Preprocessing(size=32, region=(0, 0, 0.5, 0.5)))
    shown = cv2.resize(seen, (148, 148), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    assert np.array_equal(cv2.imread(str(tmp_path / "run.png"))[20:168, :148], shown)
    run("data", "preview", tmp_path / "run", "--out", tmp_path / "whole.png", "--region", "0,0,1,1")
    assert not np.array_equal(cv2.imread(str(tmp_path / "whole.png"))[20:168, :148], shown)
    data.rename(tmp_path / "moved")
    refused(run("data", "preview", tmp_path / "run", "--out", tmp_path / "gone.png"), 2, "E_DATASET", "no such folder")
