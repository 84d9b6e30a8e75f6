"""The one function that makes the model's input: exact where it can be told by hand, pinned where it cannot."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from edgetl.errors import FrameError, UsageError
from edgetl.runtime.preprocess import PAD_VALUE, Image, Preprocessing, check_frame, preprocess

RESIZES = ("squash", "fit-shortest", "fit-longest")


def ramp(width: int, height: int) -> Image:
    """A frame made by integer arithmetic: the same on every machine, different in every pixel and channel."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    return np.stack([(x * 7 + y * 13) % 256, (x * 3 + y * y) % 251, (x * y + 17) % 241], axis=2).astype(np.uint8)


def test_same_size_only_turns_bgr_into_rgb() -> None:
    frame = ramp(64, 64)
    assert np.array_equal(preprocess(frame, Preprocessing(size=64)), frame[:, :, ::-1])


@pytest.mark.parametrize("resize", ["squash", "fit-shortest"])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (31, 977), (1, 1), (16, 5000), (17, 33)])
def test_one_colour_stays_that_colour(resize: str, width: int, height: int) -> None:
    frame = np.full((height, width, 3), (11, 22, 33), np.uint8)
    image = preprocess(frame, Preprocessing(size=48, resize=resize))  # type: ignore[arg-type]
    assert image.shape == (48, 48, 3)
    assert (image == (33, 22, 11)).all()


def test_halving_averages_whole_pairs() -> None:
    """2×2 blocks of 10, 20, 30 and 40 have the mean 25, wherever they lie."""
    block = np.array([[10, 20], [30, 40]], np.uint8)
    frame = np.repeat(np.tile(block, (32, 32))[:, :, None], 3, axis=2)
    assert (preprocess(frame, Preprocessing(size=32)) == 25).all()
    assert (preprocess(frame, Preprocessing(size=16)) == 25).all()


def test_halving_one_side_averages_pairs_and_rounds_up() -> None:
    frame = np.repeat(np.tile(np.array([10, 13], np.uint8), (32, 32))[:, :, None], 3, axis=2)
    assert (preprocess(frame, Preprocessing(size=32)) == 12).all()


def test_odd_last_row_and_column_are_left_out_of_a_halving() -> None:
    frame = np.full((33, 33, 3), 100, np.uint8)
    frame[32, :], frame[:, 32] = 255, 255
    assert (preprocess(frame, Preprocessing(size=16)) == 100).all()


def test_doubling_is_bilinear() -> None:
    """Between columns of 0 and 200 in turn the weights are one quarter and three quarters."""
    frame = np.zeros((16, 16, 3), np.uint8)
    frame[:, 1::2] = 200
    assert preprocess(frame, Preprocessing(size=32))[5, :6, 0].tolist() == [0, 50, 150, 150, 50, 50]


def test_nearest_invents_no_values() -> None:
    frame = ramp(100, 80)
    image = preprocess(frame, Preprocessing(size=32, interpolation="nearest"))
    seen = {tuple(p) for p in frame[:, :, ::-1].reshape(-1, 3).tolist()}
    assert {tuple(p) for p in image.reshape(-1, 3).tolist()} <= seen


def test_squash_shows_the_whole_frame() -> None:
    """Defects sit at edges: a mark in each corner must survive in the corner."""
    frame = np.zeros((480, 640, 3), np.uint8)
    for y, x in ((0, 0), (0, 600), (440, 0), (440, 600)):
        frame[y : y + 40, x : x + 40] = 255
    image = preprocess(frame, Preprocessing(size=64))
    assert [int(image[y, x, 0]) for y in (0, -1) for x in (0, -1)] == [255] * 4
    assert image[32, 32, 0] == 0


@pytest.mark.parametrize(("width", "height", "cut"), [(96, 32, np.s_[:, 32:64]), (32, 97, np.s_[32:64, :])])
def test_fit_shortest_takes_the_middle_square(width: int, height: int, cut: tuple[slice, slice]) -> None:
    frame = ramp(width, height)
    image = preprocess(frame, Preprocessing(size=32, resize="fit-shortest"))
    assert np.array_equal(image, frame[cut][:, :, ::-1])


@pytest.mark.parametrize(("width", "height", "place"), [(32, 10, np.s_[11:21, :]), (11, 32, np.s_[:, 10:21])])
def test_fit_longest_pads_with_mid_grey(width: int, height: int, place: tuple[slice, slice]) -> None:
    frame = ramp(width, height)
    image = preprocess(frame, Preprocessing(size=32, resize="fit-longest"))
    assert np.array_equal(image[place], frame[:, :, ::-1])
    padding = np.ones((32, 32), bool)
    padding[place] = False
    assert (image[padding] == PAD_VALUE).all()


def test_fit_longest_keeps_a_sliver_visible() -> None:
    frame = np.full((1, 4000, 3), 255, np.uint8)
    image = preprocess(frame, Preprocessing(size=32, resize="fit-longest"))
    assert (image == 255).all(axis=(1, 2)).sum() == 1


def test_region_is_cut_by_fractions() -> None:
    frame = ramp(128, 64)
    image = preprocess(frame, Preprocessing(size=32, region=(0.5, 0.25, 0.75, 0.75)))
    assert np.array_equal(image, frame[16:48, 64:96, ::-1])


def test_region_means_the_same_at_another_resolution() -> None:
    how = Preprocessing(size=16, region=(0.25, 0.0, 0.5, 1.0))
    small = np.zeros((40, 80, 3), np.uint8)
    small[:, 20:40] = 200
    assert np.array_equal(preprocess(small, how), preprocess(small.repeat(2, axis=0).repeat(2, axis=1), how))
    assert (preprocess(small, how) == 200).all()


def test_region_smaller_than_a_pixel_still_gives_a_picture() -> None:
    frame = ramp(10, 10)
    image = preprocess(frame, Preprocessing(size=16, region=(0.55, 0.55, 0.56, 0.56)))
    assert (image == frame[5, 5, ::-1]).all()


@pytest.mark.parametrize(("bgr", "luma"), [((0, 0, 255), 76), ((0, 255, 0), 150), ((255, 0, 0), 29), ((9, 9, 9), 9)])
def test_grey_is_luma_in_three_channels(bgr: tuple[int, int, int], luma: int) -> None:
    """The weights of ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue."""
    frame = np.full((20, 20, 3), bgr, np.uint8)
    assert (preprocess(frame, Preprocessing(size=16, colour="grey")) == luma).all()


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("interpolation", ["halve-then-bilinear", "nearest"])
@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("region", [None, (0.1, 0.2, 0.7, 0.9)])
def test_output_is_new_contiguous_memory_and_the_frame_stays(
    resize: str, interpolation: str, colour: str, region: tuple[float, float, float, float] | None
) -> None:
    frame = ramp(61, 47)
    frame.flags.writeable = False
    how = Preprocessing(47, resize, region, interpolation, colour)  # type: ignore[arg-type]
    image = preprocess(frame, how)
    assert image.shape == (47, 47, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous and image.flags.writeable
    assert not np.shares_memory(image, frame)
    assert np.array_equal(frame, ramp(61, 47))


@pytest.mark.parametrize("resize", RESIZES)
def test_memory_layout_does_not_count(resize: str) -> None:
    frame = ramp(90, 70)
    how = Preprocessing(size=32, resize=resize)  # type: ignore[arg-type]
    wanted = preprocess(frame, how)
    wide = np.zeros((70, 180, 3), np.uint8)
    wide[:, ::2] = frame
    assert np.array_equal(preprocess(wide[:, ::2], how), wanted)
    assert np.array_equal(preprocess(frame[:, :, ::-1].copy()[:, :, ::-1], how), wanted)
    assert np.array_equal(preprocess(np.asfortranarray(frame), how), wanted)


def test_threads_do_not_disturb_each_other() -> None:
    """Each thread halves frames of its own size again and again in memory that it uses again."""
    how = Preprocessing(size=32)
    given = [ramp(320 + 64 * n, 240 + 48 * n) for n in range(4)]
    wanted = [preprocess(frame, how) for frame in given]

    def same(number: int) -> bool:
        return all(np.array_equal(preprocess(given[number], how), wanted[number]) for _ in range(200))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(same, range(4)))


def test_picture_stays_what_it_was_when_others_follow() -> None:
    how = Preprocessing(size=32)
    first = preprocess(ramp(320, 240), how)
    kept = first.copy()
    for width in (640, 64, 33, 32):
        preprocess(ramp(width, 480), how)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("column", [0, 1, 333, 640, 1001, 1918])
def test_thin_scratch_on_a_large_frame_is_not_skipped(column: int) -> None:
    frame = np.full((1080, 1920, 3), 200, np.uint8)
    frame[:, column] = 0
    image = preprocess(frame, Preprocessing(size=224))
    assert image.min() < 190


@pytest.mark.parametrize(
    "frame",
    [
        None,
        [[1, 2, 3]],
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame: object) -> None:
    with pytest.raises(FrameError):
        check_frame(frame)
    with pytest.raises(FrameError):
        preprocess(frame, Preprocessing(size=16))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, 15, 4097])
def test_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match=str(size)):
        Preprocessing(size=size)


@pytest.mark.parametrize(
    "region",
    [(0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 1, 1, 1), (float("nan"), 0, 1, 1)],
)
def test_impossible_region_is_refused(region: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError, match="region"):
        Preprocessing(region=region)


def test_record_survives_the_manifest() -> None:
    how = Preprocessing(96, "fit-longest", (0.1, 0.2, 0.8, 0.9), "nearest", "grey")
    assert msgspec.json.decode(msgspec.json.encode(how), type=Preprocessing) == how


def test_record_of_an_unknown_way_is_not_guessed_at() -> None:
    """A field that a later version adds would change the picture, so it must not be passed over."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"size": 64, "sharpen": 2}', type=Preprocessing)


# SHA-256 of the outputs on x86-64 with OpenCV 4.11. A difference means that models trained before see other pictures.
PINNED = {
    ("squash", "rgb"): "3d53f758806b8f766fdc7350afb94a61918f6d4f8d68b21488471865630e2818",
    ("fit-shortest", "rgb"): "cee469ce58b727431b2b55d402baddef24149e223ee2cbf11f54b8de3e2a576c",
    ("fit-longest", "rgb"): "63b6119f9ee1a33d8e6abe07c0e54067989c43bafea92240d0b9f0853d0ff581",
    ("squash", "grey"): "c0c16b6ecb73eaec86794fb4b4da62c9b91c99d1d379fd45e621dfc380685159",
}


@pytest.mark.parametrize(("resize", "colour"), PINNED)
def test_output_is_the_one_that_models_were_trained_on(resize: str, colour: str) -> None:
    digest = hashlib.sha256()
    for width, height in ((1920, 1080), (641, 479), (50, 333)):
        for region in (None, (0.13, 0.21, 0.77, 0.93)):
            how = Preprocessing(96, resize, region, "halve-then-bilinear", colour)  # type: ignore[arg-type]
            digest.update(preprocess(ramp(width, height), how).tobytes())
    assert digest.hexdigest() == PINNED[resize, colour]
