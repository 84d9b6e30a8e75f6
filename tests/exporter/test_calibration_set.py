"""Which pictures calibrate: the run's own, and frames of the real camera by stated rules."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.errors import DatasetError, UsageError
from edgetl.exporter.calibration_set import Frame, calibration_set, chosen_frames, stratified
from edgetl.exporter.resemblance import share_far
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import Run, RunRecord, SplitRecord
from edgetl.trainer.settings import Settings


class Lines(SilentReporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """One line."""
        self.said.append(text)


def picture(seed: int, light: float = 1.0, blur: int = 0) -> NDArray[np.uint8]:
    """A picture that is like no other: coarse noise with fine noise on it."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(40, 160, (6, 6, 3)), (48, 48), interpolation=cv2.INTER_CUBIC)
    image = coarse + rng.normal(0, 12, coarse.shape)
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return np.clip(image * light, 0, 255).astype(np.uint8)


def put(path: Path, image: NDArray[np.uint8]) -> str:
    """Saves a picture as PNG and returns the hash of its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run on 60 pictures of two classes; nothing of it was trained, since nothing here asks the model."""
    data = tmp_path / "data"
    splits = []
    for i in range(60):
        label, split = ("good", "bad")[i % 2], ("train", "train", "val", "calibration", "test")[i % 5]
        path = f"{label}/{i:02d}.png"
        splits.append(SplitRecord(path, label, put(data / path, picture(i)), split))
    record = RunRecord(
        created="", complete=True, rule=DecisionRule(("bad", "good"), ("good",)), preprocessing=Preprocessing(size=32),
        weights="none", best_epoch=0, val_balanced_accuracy=0.0, pictures={}, passed_over={}, seconds=0.0, versions={},
    )  # fmt: skip
    return Run(tmp_path, Settings(data=str(data), model="resnet_tiny"), record, splits)


def made(run: Run, frames: Path | None) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Number of images, hashes, and warnings of a calibration set."""
    found = calibration_set(run, Path(run.settings.data), frames, SilentReporter())
    return len(found.images), found.sha256, found.warnings


def test_without_a_folder_it_is_the_runs_own_split(run: Run) -> None:
    n, hashes, warnings = made(run, None)
    assert n == 12 and warnings == ()
    assert set(hashes) == {s.sha256 for s in run.splits if s.split == "calibration"}


def test_frames_join_it_with_their_hashes(run: Run, tmp_path: Path) -> None:
    new = [put(tmp_path / f"frames/day{i % 2}-{i}.png", picture(1000 + i)) for i in range(10)]
    n, hashes, warnings = made(run, tmp_path / "frames")
    assert n == 22 and warnings == ()
    assert set(new) < set(hashes) and len(set(hashes)) == 22


def test_pictures_that_judge_and_copies_and_flat_frames_are_left_out(run: Run, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    kept = {put(frames / f"{i}.png", picture(1000 + i)) for i in range(9)}
    put(frames / "copy.png", picture(1000))
    put(frames / "nearly.jpg", picture(1001))
    put(frames / "black.png", np.zeros((48, 48, 3), np.uint8))
    put(frames / "covered.png", np.full((48, 48, 3), (20, 60, 200), np.uint8))
    (frames / "torn.png").write_bytes((frames / "1.png").read_bytes()[:100])
    for s in run.splits:
        if s.split in ("val", "test"):
            (frames / f"judge-{s.sha256[:6]}.png").write_bytes((Path(run.settings.data) / s.path).read_bytes())
    reporter = Lines()
    chosen = chosen_frames(frames, run, Path(run.settings.data), reporter)
    (said,) = reporter.said
    assert said.startswith(f"passed over: {frames / 'torn.png'}")
    assert len(chosen) == 9
    assert len({f.sha256 for f in chosen} & kept) >= 7  # of two that are nearly alike, either may stay
    judged = {s.sha256 for s in run.splits if s.split in ("val", "test")}
    assert not judged & {f.sha256 for f in chosen}


@pytest.mark.fault("M7")
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("absent", "no such folder"),
        ("empty", "holds no pictures"),
        ("one", "1 usable frames, at least 8"),
        ("black", r"0 usable frames.* 12 show nothing"),
        ("same", r"2 usable frames.* 10 are nearly equal"),
        ("judging", r"0 usable frames.* judge the model"),
        ("torn", r"0 usable frames.* of 12 pictures 12 cannot be read"),
    ],
)
def test_folder_that_cannot_calibrate_is_refused_with_the_reason(
    run: Run, tmp_path: Path, case: str, words: str
) -> None:
    frames = tmp_path / "frames"
    if case != "absent":
        frames.mkdir()
    if case == "one":
        put(frames / "a.png", picture(1000))
    for i in range(12):
        if case == "torn":
            put(frames / f"{i}.png", picture(i))
            (frames / f"{i}.png").write_bytes((frames / f"{i}.png").read_bytes()[:100])
        if case == "black":
            put(frames / f"{i}.png", np.full((40 + i, 48, 3), i % 3, np.uint8))
        if case == "same":
            put(frames / f"{i}.png", np.clip(picture(1000).astype(int) + i % 2, 0, 255).astype(np.uint8))
    if case == "judging":
        for s in run.splits:
            if s.split in ("val", "test"):
                (frames / f"{s.sha256}.png").write_bytes((Path(run.settings.data) / s.path).read_bytes())
    with pytest.raises(UsageError, match=words) as caught:
        made(run, frames)
    assert str(frames) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.fault("M7")
def test_folder_of_another_class_set_is_refused_and_names_both(run: Run, tmp_path: Path) -> None:
    for i in range(20):
        put(tmp_path / "frames" / ("good", "scratch")[i % 2] / f"{i}.png", picture(1000 + i))
    with pytest.raises(DatasetError, match="folder scratch is no class of the run, which has bad, good"):
        made(run, tmp_path / "frames")


@pytest.mark.fault("M7")
@pytest.mark.parametrize(("light", "blur", "word"), [(0.35, 0, "light"), (1.0, 2, "sharpness")])
def test_frames_of_other_light_or_sharpness_calibrate_with_a_warning(
    run: Run, tmp_path: Path, light: float, blur: int, word: str
) -> None:
    for i in range(12):
        put(tmp_path / "frames" / f"{i}.png", picture(1000 + i, light, blur))
    n, _, warnings = made(run, tmp_path / "frames")
    assert n == 24
    assert any(f"frames: {word} differs from the training pictures'" in w for w in warnings)


@pytest.mark.fault("M7")
def test_picture_that_judges_is_found_though_it_was_saved_anew_or_taken_a_moment_later(
    run: Run, tmp_path: Path
) -> None:
    """Other bytes, the same sight: as JPEG, and a grey level brighter with other noise."""
    frames, data = tmp_path / "frames", Path(run.settings.data)
    kept = {put(frames / f"{i}.png", picture(1000 + i)) for i in range(9)}
    random = np.random.default_rng(0)
    for s in [s for s in run.splits if s.split in ("val", "test")]:
        image = cv2.imread(str(data / s.path))
        put(frames / f"anew-{s.sha256[:6]}.jpg", image)
        later = np.clip(image + 1.0 + random.normal(0, 1.0, image.shape), 0, 255).astype(np.uint8)
        put(frames / f"later-{s.sha256[:6]}.png", later)
    assert {f.sha256 for f in chosen_frames(frames, run, data, SilentReporter())} == kept


def colours(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features that tell which channel is the brightest, whatever the light."""
    return images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)


@pytest.mark.fault("M7")
def test_frames_of_another_object_in_the_same_light_calibrate_with_a_warning(run: Run, tmp_path: Path) -> None:
    """Grey level by grey level they are like the training pictures; the features are not."""
    for i in range(12):
        plain = picture(1000 + i)
        put(tmp_path / "alike" / f"{i}.png", plain)
        reddish = plain * np.array((1.0, 1 - 0.4 * 0.299 / 0.587, 1.4))  # BGR: what red gains in grey, green loses
        put(tmp_path / "other" / f"{i}.png", np.clip(reddish, 0, 255).astype(np.uint8))
    for folder, warned in (("alike", False), ("other", True)):
        found = calibration_set(run, Path(run.settings.data), tmp_path / folder, SilentReporter(), colours)
        assert any("look like no training picture" in w for w in found.warnings) == warned, found.warnings
        assert not any("light differs" in w for w in found.warnings)


def test_share_of_pictures_that_are_far_is_measured_by_the_training_pictures_own_distances() -> None:
    random = np.random.default_rng(0)
    trained = (np.eye(8)[0] + random.normal(0, 0.05, (200, 8))).astype(np.float32)
    near = (np.eye(8)[0] + random.normal(0, 0.05, (100, 8))).astype(np.float32)
    far = (np.eye(8)[3] + random.normal(0, 0.05, (100, 8))).astype(np.float32)
    assert share_far(trained, 3 * near) < 0.2 and share_far(trained, far) == 1.0
    assert share_far(trained, np.concatenate([near, far])) == pytest.approx(0.5, abs=0.1)


def test_classes_have_equal_shares_and_the_same_seed_the_same_frames() -> None:
    frames = [
        Frame(
            f"{label}/{i:03d}", label, hashlib.sha256(f"{label}{i}".encode()).hexdigest(), np.zeros((1, 1, 3), np.uint8)
        )
        for label, n in (("good", 90), ("bad", 10))
        for i in range(n)
    ]
    drawn = stratified(frames, 30, seed=0)
    assert [sum(f.label == label for f in drawn) for label in ("good", "bad")] == [20, 10]
    assert [f.path for f in drawn] == [f.path for f in stratified(frames[::-1], 30, seed=0)]
    assert [f.path for f in drawn] != [f.path for f in stratified(frames, 30, seed=1)]
    assert [f.path for f in drawn] == sorted(f.path for f in drawn)
