"""Every file that carries a picture's name is either read by a stated rule or refused with a reason, at bounded cost."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgetl.errors import PictureError
from edgetl.runtime.picture import MAX_FILE_BYTES, decode, read_bytes, read_picture
from tests.runtime import pictures as pic


def corners(image: np.ndarray) -> list[list[int]]:
    """The colours near the four corners, rounded so that JPEG's losses do not count."""
    height, width = image.shape[:2]
    y, x = height // 4, width // 4
    return [(np.round(image[j, i] / 255.0) * 255).astype(int).tolist() for j in (y, -y) for i in (x, -x)]


def test_colour_comes_as_bgr(tmp_path: Path) -> None:
    path = pic.save(tmp_path / "a.png", pic.quarters())
    image = read_picture(path)
    assert image.dtype == np.uint8
    assert np.array_equal(image, pic.quarters())


def test_grey_becomes_three_equal_channels() -> None:
    rows = b"".join(bytes([0, *(10 * y + x for x in range(5))]) for y in range(4))
    image = decode(pic.png(5, 4, 8, 0, rows), "grey.png")
    assert image.shape == (4, 5, 3)
    assert image[3].tolist() == [[v] * 3 for v in (30, 31, 32, 33, 34)]


@pytest.mark.fault("I2")
def test_sixteen_bits_are_scaled_to_eight() -> None:
    row = b"\0" + struct.pack(">4H", 0, 0x0100, 0x8000, 0xFFFF)
    image = decode(pic.png(4, 1, 16, 0, row), "deep.png")
    assert image.dtype == np.uint8
    assert image[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.fault("I2")
def test_alpha_is_dropped_and_not_blended() -> None:
    row = bytes([0, 200, 100, 50, 0, 200, 100, 50, 255])
    image = decode(pic.png(2, 1, 8, 6, row), "alpha.png")
    assert image.tolist() == [[[50, 100, 200], [50, 100, 200]]]


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.fault("I2")
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_applied(orientation: int) -> None:
    image = decode(pic.with_exif(pic.jpeg(pic.quarters()), orientation), "turned.jpg")
    wanted = TURNS[orientation](pic.quarters())
    assert image.shape == wanted.shape
    assert corners(image) == corners(wanted)


@pytest.mark.fault("I2")
def test_cmyk_jpeg_is_read_as_colour(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="only Pillow writes CMYK")
    path = tmp_path / "press.jpg"
    pillow.fromarray(pic.quarters()[:, :, ::-1]).convert("CMYK").save(path, quality=95)
    assert corners(read_picture(path)) == corners(pic.quarters())


@pytest.mark.fault("I2")
def test_first_frame_of_an_animation_counts() -> None:
    control = pic.chunk(b"acTL", struct.pack(">II", 2, 0))

    def frame(number: int) -> bytes:
        return pic.chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 2, 1, 0, 0, 1, 10, 0, 0))

    second = pic.chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(bytes([0, 0, 0, 9, 0, 0, 9])))
    data = pic.png(2, 1, 8, 2, bytes([0, 7, 0, 0, 7, 0, 0]), before=control + frame(0), after=frame(1) + second)
    assert decode(data, "moving.png").tolist() == [[[0, 0, 7], [0, 0, 7]]]


@pytest.mark.fault("I2")
@pytest.mark.parametrize(("width", "height"), [(1, 1), (65535, 1), (1, 65535)])
def test_extreme_shapes_are_read(width: int, height: int) -> None:
    data = pic.png(width, height, 8, 0, bytes(1 + width) * height)
    assert decode(data, "odd.png").shape == (height, width, 3)


@pytest.mark.fault("I2")
def test_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    good, data = cv2.imencode(".png", pic.quarters())
    assert good
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(data.tobytes())
    assert np.array_equal(read_picture(path), pic.quarters())


BOMB_CHILD = """
import resource, sys
from edgetl.errors import PictureError
from edgetl.runtime.picture import decode
size = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (size + (96 << 20),) * 2)
try:
    decode(sys.stdin.buffer.read(), "bomb")
except PictureError as error:
    print(error)
"""


@pytest.mark.fault("I2")
@pytest.mark.parametrize(("name", "data"), [("png", pic.png_bomb(20_000)), ("bmp", pic.bmp_bomb(20_000))])
def test_bomb_is_refused_in_little_memory(name: str, data: bytes) -> None:
    assert len(data) < 200_000
    done = subprocess.run([sys.executable, "-c", BOMB_CHILD], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().startswith("bomb: ")


@pytest.mark.fault("I2")
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty", b""),
        ("text", b"this is no picture\n" * 40),
        ("zeros", bytes(5000)),
        ("only a PNG's mark", b"\x89PNG\r\n\x1a\n"),
        ("only a JPEG's mark", b"\xff\xd8\xff\xd9"),
        ("a PNG without its pixels", pic.png(9, 9, 8, 0, b"")[:45]),
        ("a zip", b"PK\x03\x04" + bytes(100)),
        ("no pixels wide", pic.png(0, 4, 8, 0, b"\0" * 4)),
    ],
)
def test_what_is_no_picture_is_refused_by_name(name: str, data: bytes) -> None:
    with pytest.raises(PictureError) as caught:
        decode(data, "parts/x.jpg")
    assert str(caught.value).startswith("parts/x.jpg: ")
    assert "\n" not in str(caught.value)


def scratched(data: bytes, count: int, seed: int) -> bytes:
    """A JPEG with `count` bytes of its pixels' data changed, the headers and the end marker left alone."""
    rng = np.random.default_rng(seed)
    start = data.index(b"\xff\xda") + 14
    changed = bytearray(data)
    for at in rng.choice(np.arange(start, len(data) - 2), count, replace=False):
        changed[at] ^= int(rng.integers(1, 256))
    return bytes(changed)


@pytest.mark.fault("I1")
def test_jpeg_with_changed_bytes_is_refused_where_opencv_decodes_it() -> None:
    """JPEG has no checksum: what keeps the code's grammar cannot be seen. Of 64 changed bytes one always breaks it."""
    patched_up = 0
    for seed in range(20):
        data = scratched(pic.jpeg(pic.noise(seed=seed)), 64, seed)
        patched_up += cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
        with pytest.raises(PictureError, match=r"parts/x\.jpg: "):
            decode(data, "parts/x.jpg")
    assert patched_up > 10  # OpenCV gives a picture for most of them: the check is ours


@pytest.mark.fault("I1")
def test_turned_jpeg_with_changed_bytes_is_refused() -> None:
    data = pic.with_exif(pic.jpeg(pic.noise()), 6)
    assert decode(data, "turned.jpg").shape == (160, 120, 3)
    with pytest.raises(PictureError, match="damaged"):
        decode(scratched(data, 64, 1), "turned.jpg")


@pytest.mark.parametrize("quality", [30, 95])
def test_jpeg_has_the_same_pixels_as_opencv_gives(quality: int) -> None:
    for image in (pic.noise(), pic.noise(161, 3), pic.quarters()):
        data = pic.jpeg(image, quality)
        assert np.array_equal(decode(data, "x.jpg"), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    good, grey = cv2.imencode(".jpg", pic.noise()[:, :, 0])
    assert good and np.array_equal(decode(grey.tobytes(), "g.jpg"), cv2.imdecode(grey, cv2.IMREAD_COLOR))


@pytest.mark.fault("I1")
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
def test_jpeg_cut_short_is_refused(share: float) -> None:
    data = pic.jpeg(pic.noise())
    with pytest.raises(PictureError):
        decode(data[: int(len(data) * share)], "cut.jpg")
    with pytest.raises(PictureError):
        decode(data[:-2], "cut.jpg")


def test_jpeg_cut_behind_its_thumbnail_is_refused() -> None:
    """The thumbnail ends with an end marker of its own, which must not be taken for the picture's."""
    whole = pic.with_exif(pic.jpeg(pic.noise()), 1, thumbnail=pic.jpeg(pic.noise(16, 12)))
    assert decode(whole, "whole.jpg").shape == (120, 160, 3)
    start = whole.index(b"\xff\xda", whole.index(b"\xff\xd9"))
    with pytest.raises(PictureError):
        decode(whole[: start + 1500], "cut.jpg")


def test_jpeg_with_much_behind_its_end_is_read() -> None:
    """Phones append a film or a second picture of any length."""
    data = pic.jpeg(pic.quarters()) + bytes(20_000)
    assert corners(decode(data, "motion.jpg")) == corners(pic.quarters())


def test_jpeg_with_filler_between_its_headers_is_read() -> None:
    data = pic.jpeg(pic.quarters())
    assert corners(decode(data[:2] + b"\xff" * 5 + data[2:], "filled.jpg")) == corners(pic.quarters())


def test_png_cut_short_is_refused(tmp_path: Path) -> None:
    path = pic.save(tmp_path / "a.png", pic.noise())
    data = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(PictureError):
            decode(data[: int(len(data) * share)], "cut.png")


@pytest.mark.fault("I3")
def test_pipe_device_folder_and_dead_link_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    for name in ("pipe", "folder", "dead", "zero", "round"):
        with pytest.raises(PictureError, match=f"{name}.jpg: "):
            read_bytes(tmp_path / f"{name}.jpg")


def test_file_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(PictureError, match="more than the limit"):
        read_bytes(path)


@pytest.mark.parametrize("name", ["Schweißnaht ä.png", "部品.png", "two\nlines.png", " leading and trailing .png"])
def test_any_name_is_read(tmp_path: Path, name: str) -> None:
    assert read_picture(pic.save(tmp_path / name, pic.quarters())).shape == (32, 64, 3)
