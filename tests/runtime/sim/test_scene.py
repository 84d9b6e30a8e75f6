"""Training pictures: determinism, and a label that changes nothing but the part's own defect."""

import cv2
import numpy as np
import pytest

from edgetl.runtime.sim import LABELS, draw_picture

SIZE = (320, 240)


def grey(seed: int, label: str) -> np.ndarray:
    return cv2.cvtColor(draw_picture(seed, label, *SIZE), cv2.COLOR_BGR2GRAY)


def test_picture_has_the_shape_of_a_camera_frame() -> None:
    for width, height in ((640, 480), (320, 240), (200, 300)):
        picture = draw_picture(1, "ok", width, height)
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8


@pytest.mark.parametrize("label", LABELS)
def test_same_seed_and_label_give_the_same_bytes(label: str) -> None:
    first = draw_picture(5, label, *SIZE)
    draw_picture(6, "chip", *SIZE)
    assert np.array_equal(first, draw_picture(5, label, *SIZE))


def test_different_seeds_differ() -> None:
    assert np.abs(draw_picture(5, "ok", *SIZE).astype(int) - draw_picture(6, "ok", *SIZE)).mean() > 3.0


@pytest.mark.parametrize("label", LABELS[1:])
def test_label_changes_only_a_part_of_the_part(label: str) -> None:
    for seed in range(6):
        sound = draw_picture(seed, "ok", *SIZE).astype(int)
        changed = np.abs(sound - draw_picture(seed, label, *SIZE)).max(axis=2) > 0
        rows, columns = np.nonzero(changed)
        assert 12 < changed.sum() < 0.12 * changed.size
        # The part's radius is 0.32 frame heights and the barrier catches it within 0.08 of the middle.
        reach = 0.43 * SIZE[1]
        assert np.abs(columns - SIZE[0] / 2).max() < reach
        assert np.abs(rows - SIZE[1] / 2).max() < reach


@pytest.mark.parametrize("label", LABELS[1:])
def test_defect_stands_out_after_shrinking_to_the_model_input(label: str) -> None:
    def shrunk(seed: int, kind: str) -> np.ndarray:
        crop = draw_picture(seed, kind, 480, 360)[30:330, 90:390]
        return cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA).astype(int)

    for seed in range(8):
        difference = np.abs(shrunk(seed, "ok") - shrunk(seed, label)).max(axis=2)
        assert (difference > 25).sum() >= 8


def test_brightness_does_not_reveal_the_label() -> None:
    means = np.array([[grey(seed, label).mean() for seed in range(16)] for label in LABELS])
    spread = means[0].std()
    assert np.abs(means.mean(axis=1) - means[0].mean()).max() < 0.35 * spread


def test_pictures_of_a_label_vary_in_pose_and_light() -> None:
    pictures = [grey(seed, "ok") for seed in range(12)]
    centres = [np.nonzero(p > 90)[1].mean() for p in pictures]
    assert np.std(centres) > 1.0
    assert np.std([p.mean() for p in pictures]) > 1.5


def test_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="label: 'dent' is not one of ok, scratch"):
        draw_picture(1, "dent")
