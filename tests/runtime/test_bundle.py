"""A bundle is used only if every byte of it is as promised; whatever else arrives is refused in one line."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgetl.errors import BundleError, BundleFormatError, BundleHashError, BundleSizeError, UsageError
from edgetl.runtime.bundle import MAX_BUNDLE_BYTES, MAX_MANIFEST_BYTES, open_bundle
from edgetl.runtime.lineage import recorded_splits
from edgetl.runtime.manifest import MANIFEST_NAME, Manifest
from tests.runtime import tiny


def everything(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """All that a user of a bundle can get out of it."""
    with open_bundle(path) as bundle:
        return bundle.manifest, {name: bundle.read(name) for name in bundle.manifest.files}


def refused(path: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        everything(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return caught.value


def test_content_comes_back(tiny_bundle: Path) -> None:
    manifest, files = everything(tiny_bundle)
    assert files == tiny.content()
    assert manifest.rule == tiny.RULE
    with open_bundle(tiny_bundle) as bundle:
        record = bundle.model("tflite")
        assert record is not None and record.path == "model/int8.tflite"
        assert bundle.model("onnx") is None
        assert bundle.model("tflite", "float32") is None
        assert recorded_splits(bundle) == {"ab" * 32: "test", "cd" * 32: "train", "ef" * 32: "train"}
        with pytest.raises(BundleFormatError, match=r"holds no secrets\.txt"):
            bundle.read("secrets.txt")


def test_exported_bundle_is_read(small_bundle: Path) -> None:
    manifest, files = everything(small_bundle)
    assert set(manifest.rule.labels) == {"chip", "missing_hole", "ok", "scratch", "stain"}
    assert {m.path for m in manifest.models} <= set(files)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", BundleSizeError),
        (b"PK", BundleSizeError),
        (b"just text " * 9, BundleFormatError),
        (bytes(99), BundleFormatError),
    ],
)
def test_what_is_no_bundle_is_told_apart(tmp_path: Path, content: bytes, error: type[BundleError]) -> None:
    path = tmp_path / "x.edgetl"
    path.write_bytes(content)
    assert type(refused(path)) is error


@pytest.mark.fault("S2")
def test_every_cut_is_refused_for_its_size(tmp_path: Path, tiny_bundle: Path) -> None:
    data = tiny_bundle.read_bytes()
    path = tmp_path / "cut.edgetl"
    for length in [0, 1, len(data) - 1, *range(2, len(data), 37)]:
        path.write_bytes(data[:length])
        assert type(refused(path)) is BundleSizeError, length


@pytest.mark.fault("S2")
@pytest.mark.parametrize("padding", [b"\0", b"\n", b"PK\x05\x06" + bytes(18), bytes(70_000)])
def test_padding_behind_is_refused_for_its_size(tmp_path: Path, tiny_bundle: Path, padding: bytes) -> None:
    path = tmp_path / "long.edgetl"
    path.write_bytes(tiny_bundle.read_bytes() + padding)
    assert isinstance(refused(path), BundleError)
    if not padding.startswith(b"PK"):
        assert type(refused(path)) is BundleSizeError


@pytest.mark.fault("S2")
@pytest.mark.parametrize("prefix", [b"#!/bin/sh\nexit\n", b"PK\x03\x04" + bytes(40), b"\0"])
def test_padding_in_front_is_refused(tmp_path: Path, tiny_bundle: Path, prefix: bytes) -> None:
    path = tmp_path / "front.edgetl"
    path.write_bytes(prefix + tiny_bundle.read_bytes())
    refused(path)


@pytest.mark.fault("S2")
def test_huge_sparse_file_is_refused_unread(tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "sparse.edgetl"
    path.write_bytes(tiny_bundle.read_bytes())
    os.truncate(path, (2 << 30) + 1)
    assert MAX_BUNDLE_BYTES < (2 << 30)
    start = time.monotonic()
    assert type(refused(path)) is BundleSizeError
    assert time.monotonic() - start < 1.0  # reading it would take longer


def test_zip_comment_is_refused(tmp_path: Path) -> None:
    def comment(archive: zipfile.ZipFile) -> None:
        archive.comment = b"added later"

    assert type(refused(tiny.write(tmp_path / "x.edgetl", more=comment))) is BundleSizeError


def flip(path: Path, data: bytes, position: int, wanted: tuple[Manifest, dict[str, bytes]]) -> bool:
    """Whether a flipped bit was refused; if it was not, then nothing that is read may differ."""
    flipped = bytearray(data)
    flipped[position] ^= 1 << (position % 8)
    path.write_bytes(flipped)
    try:
        found = everything(path)
    except BundleError:
        return True
    assert found == wanted, f"bit {position % 8} of byte {position} changed what is read"
    return False


def test_flip_anywhere_is_refused_or_changes_nothing(tmp_path: Path, tiny_bundle: Path) -> None:
    data, wanted = tiny_bundle.read_bytes(), everything(tiny_bundle)
    path = tmp_path / "flipped.edgetl"
    positions = range(0, len(data), 3)
    refusals = sum(flip(path, data, position, wanted) for position in positions)
    assert refusals > 0.75 * len(positions)  # the rest are dates and permissions in the zip's own headers


def test_flip_in_a_members_content_is_always_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    data, wanted = tiny_bundle.read_bytes(), everything(tiny_bundle)
    with zipfile.ZipFile(tiny_bundle) as archive:
        entries = archive.infolist()
    for item in entries:
        start = item.header_offset + 30 + len(item.filename)
        # The last byte may end in bits that the compression does not use.
        for position in range(start, start + item.compress_size - 1, 5):
            assert flip(tmp_path / "flipped.edgetl", data, position, wanted), (item.filename, position)


def test_flips_across_an_exported_bundle(tmp_path: Path, small_bundle: Path) -> None:
    data, wanted = small_bundle.read_bytes(), everything(small_bundle)
    path = tmp_path / "flipped.edgetl"
    positions = range(0, len(data), len(data) // 120)
    refusals = sum(flip(path, data, position, wanted) for position in positions)
    assert refusals > 0.9 * len(positions)


NAMES = [
    "../victim", "model/../../victim", "/etc/victim", "C:/victim", "..\\victim", "a//b", "a/./b", "./a", ".hidden",
    "model/.hidden", "nul\0.tflite", "n" * 300, "a/b/c/d/e", "new\nline", "tab\t", "sp ace", "mоdel/int8.tflite",
    "ünicode", "CON", "con.txt", "model/NUL", "lpt1.tflite", "model/", "~root", "$HOME", "-rf",
]  # fmt: skip


@pytest.mark.fault("S5")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_member_names_outside_the_closed_set_are_refused(tmp_path: Path, name: str) -> None:
    """Also where the manifest vouches for them with the right hash."""
    files = {**tiny.content(), name: b"x"}

    def with_nul(archive: zipfile.ZipFile) -> None:
        # zipfile cuts a name at a NUL when it makes an entry, so that one is put in afterwards.
        info = tiny.entry("x")
        info.filename = name
        archive.writestr(info, b"x")

    told = tiny.manifest_of(files)
    path = tiny.write(tmp_path / "x.edgetl", tiny.content(), manifest=told, more=with_nul)
    assert type(refused(path)) is BundleFormatError
    assert [p.name for p in tmp_path.iterdir()] == ["x.edgetl"]


@pytest.mark.fault("S5")
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["model/int8.tflite", "model/INT8.tflite", "Card.md", MANIFEST_NAME, "MANIFEST.json"])
def test_name_that_comes_twice_is_refused(tmp_path: Path, name: str) -> None:
    path = tiny.write(tmp_path / "x.edgetl", more=lambda archive: archive.writestr(tiny.entry(name), b"x"))
    assert "twice" in str(refused(path))


@pytest.mark.parametrize("name", ["console.txt", "nullable/com.tflite", "a.b-c_d/e", "con1", "common/auxiliary.json"])
def test_ordinary_names_are_not_refused(tmp_path: Path, name: str) -> None:
    files = {**tiny.content(), name: b"x"}
    assert everything(tiny.write(tmp_path / "x.edgetl", files))[1][name] == b"x"


@pytest.mark.fault("S6")
@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFDIR, stat.S_IFSOCK])
def test_entry_that_is_no_plain_file_is_refused(tmp_path: Path, kind: int) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    files = {**tiny.content(), "extra": str(victim).encode()}

    def special(archive: zipfile.ZipFile) -> None:
        info = tiny.entry("extra")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, files["extra"])

    path = tiny.write(tmp_path / "x.edgetl", tiny.content(), manifest=tiny.manifest_of(files), more=special)
    assert "not a plain file" in str(refused(path))
    assert victim.read_bytes() == b"untouched"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["victim", "x.edgetl"]


@pytest.mark.fault("S6")
def test_chain_of_folders_beyond_any_path_is_refused(tmp_path: Path) -> None:
    name = "a/" * 3000 + "b"
    path = tiny.write(tmp_path / "x.edgetl", more=lambda archive: archive.writestr(tiny.entry(name), b"x"))
    assert len(str(refused(path))) < 500


@pytest.mark.fault("S6")
def test_path_that_is_no_file_is_refused_without_a_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.edgetl")
    (tmp_path / "folder.edgetl").mkdir()
    (tmp_path / "zero.edgetl").symlink_to("/dev/zero")
    (tmp_path / "dead.edgetl").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "folder", "zero", "dead", "absent"):
        with pytest.raises(UsageError, match=f"{name}.edgetl: "):
            open_bundle(tmp_path / f"{name}.edgetl")


def test_extra_member_is_refused(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "x.edgetl", more=lambda archive: archive.writestr(tiny.entry("extra.bin"), b"x"))
    assert "extra.bin is not named in the manifest" in str(refused(path))


@pytest.mark.parametrize("name", ["model/int8.tflite", "card.md", "golden/golden.json"])
def test_missing_member_is_refused(tmp_path: Path, name: str) -> None:
    files = tiny.content()
    told = tiny.manifest_of(files)
    del files[name]
    assert f"{name} is named in the manifest but missing" in str(
        refused(tiny.write(tmp_path / "x.edgetl", files, manifest=told))
    )


def test_model_that_is_not_in_the_bundle_is_refused(tmp_path: Path) -> None:
    files = tiny.content()
    models = [{"path": "model/other.tflite", "format": "tflite", "precision": "int8"}]
    path = tiny.write(tmp_path / "x.edgetl", files, manifest=tiny.manifest_of(files, models=models))
    assert "model/other.tflite is missing" in str(refused(path))


def test_archive_without_a_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.edgetl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.tflite", b"x")
    assert "no edgetl bundle" in str(refused(path))


def test_empty_archive_is_refused(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "x.edgetl", "w").close()
    refused(tmp_path / "x.edgetl")


@pytest.mark.fault("S10")
@pytest.mark.parametrize("name", ["model/int8.tflite", "golden/golden.json", "card.md"])
def test_member_of_another_release_is_refused_by_its_hash(tmp_path: Path, name: str) -> None:
    files = tiny.content()
    told = tiny.manifest_of(files)
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    error = refused(tiny.write(tmp_path / "x.edgetl", files, manifest=told))
    assert type(error) is BundleHashError
    assert name in str(error)


@pytest.mark.parametrize("more", [1, -1])
def test_member_of_another_size_is_refused(tmp_path: Path, more: int) -> None:
    files = tiny.content()
    told = tiny.manifest_of(files)
    told["files"]["card.md"]["bytes"] += more
    assert type(refused(tiny.write(tmp_path / "x.edgetl", files, manifest=told))) is BundleSizeError


def declared(data: bytes, name: str, size: int) -> bytes:
    """The archive with another uncompressed size for one member, in its local and its central header."""
    changed, key = bytearray(data), name.encode()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        at = archive.getinfo(name).header_offset
        central = data.index(key, archive.start_dir) - 46
    for place in (at + 22, central + 24):
        changed[place : place + 4] = struct.pack("<I", size)
    return bytes(changed)


BOMB_CHILD = """
import resource, sys
from pathlib import Path
from edgetl.errors import BundleError
from edgetl.runtime.bundle import open_bundle
size = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20),) * 2)
try:
    open_bundle(Path(sys.argv[1]))
except BundleError as error:
    print(error.code)
"""


@pytest.mark.fault("S7")
@pytest.mark.parametrize("name", ["bomb.bin", MANIFEST_NAME])
@pytest.mark.parametrize("honest", [True, False])
def test_bomb_is_cut_at_its_declared_size(tmp_path: Path, name: str, honest: bool) -> None:
    """200 MB of zeros in 200 KB, once with their true size in the headers and once with a small one."""
    zeros, path = 200 << 20, tmp_path / "bomb.edgetl"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    assert len(packed) < 256 << 10
    files = tiny.content()
    told = tiny.manifest_of(files)
    told["files"]["bomb.bin"] = {"bytes": 1000, "sha256": "0" * 64}
    with zipfile.ZipFile(path, "w") as archive:
        if name != MANIFEST_NAME:
            archive.writestr(tiny.entry(MANIFEST_NAME), msgspec.json.encode(told))
        archive.writestr(tiny.entry(name), packed)
    data = bytearray(declared(path.read_bytes(), name, zeros if honest else 1000))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # the stored bytes are in fact a deflate stream
        at = data.rindex(mark)
        data[at + offset : at + offset + 2] = struct.pack("<H", zipfile.ZIP_DEFLATED)
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", BOMB_CHILD, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("E_SIZE", "E_HASH", "E_FORMAT")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    def many(archive: zipfile.ZipFile) -> None:
        for number in range(5000):
            archive.writestr(tiny.entry(f"f{number}"), b"")

    assert "5008 members" in str(refused(tiny.write(tmp_path / "x.edgetl", more=many)))


def test_encrypted_and_oddly_compressed_members_are_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    data = tiny_bundle.read_bytes()
    for offset, value in ((8, 1), (10, zipfile.ZIP_LZMA), (10, 99)):
        changed = bytearray(data)
        at = data.index(b"PK\x01\x02")
        changed[at + offset : at + offset + 2] = struct.pack("<H", value)
        path = tmp_path / "x.edgetl"
        path.write_bytes(changed)
        assert "encrypted or of an unknown compression" in str(refused(path))


def replaced_all_the_time(path: Path, other: bytes, stop: threading.Event) -> None:
    while not stop.is_set():
        beside = path.with_suffix(".new")
        beside.write_bytes(other)
        beside.replace(path)


@pytest.mark.fault("S11")
def test_file_swapped_after_the_check_is_not_what_is_loaded(tmp_path: Path, tiny_bundle: Path) -> None:
    path, good = tmp_path / "x.edgetl", tiny_bundle.read_bytes()
    wanted = tiny.content()
    evil = tiny.write(
        tmp_path / "evil", {**wanted, "card.md": b"# evil colours!\n"[: len(wanted["card.md"])]}
    ).read_bytes()
    path.write_bytes(good)
    with open_bundle(path) as bundle:
        stop = threading.Event()
        thread = threading.Thread(target=replaced_all_the_time, args=(path, evil, stop))
        thread.start()
        try:
            for _ in range(50):
                assert {name: bundle.read(name) for name in wanted} == wanted
        finally:
            stop.set()
            thread.join()
    assert path.read_bytes() == evil


@pytest.mark.fault("S11")
def test_file_overwritten_in_place_after_the_check_is_refused(tmp_path: Path) -> None:
    """The descriptor then sees the new bytes, so the hash is looked at again. The member is larger than any buffer."""
    large = os.urandom(1 << 18)
    path = tiny.write(tmp_path / "x.edgetl", {**tiny.content(), "large.bin": large})
    with open_bundle(path) as bundle:
        with path.open("r+b") as file:
            file.seek(path.read_bytes().index(large) + (1 << 17))
            file.write(b"not the bytes that were checked")
        with pytest.raises(BundleHashError):
            bundle.read("large.bin")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"TFL3", b"TFL4"),
        lambda data: data.replace(b"card.md", b"car..md"),
        lambda data: b"text" + data,
        lambda data: data,
    ],
)
def test_refused_or_closed_bundles_leave_no_descriptor_open(
    tmp_path: Path, tiny_bundle: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "x.edgetl"
    path.write_bytes(spoil(tiny_bundle.read_bytes()))
    before = descriptors()
    for _ in range(20):
        with contextlib.suppress(BundleError):
            open_bundle(path).close()
    assert descriptors() == before


@pytest.mark.parametrize("splits", [b"not json", b'{"train": "abc"}', b"[]"])
def test_lineage_that_is_no_lineage_is_a_format_error(tmp_path: Path, splits: bytes) -> None:
    path = tiny.write(tmp_path / "x.edgetl", {**tiny.content(), "lineage/splits.json": splits})
    with open_bundle(path) as bundle, pytest.raises(BundleFormatError, match=r"splits\.json is not valid"):
        recorded_splits(bundle)


def test_manifest_above_its_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "x.edgetl", manifest=b" " * (MAX_MANIFEST_BYTES + 1))
    assert type(refused(path)) is BundleSizeError
