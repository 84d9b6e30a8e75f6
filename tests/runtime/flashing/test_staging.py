"""An upload arrives whole or not at all, goes on where it broke off, and never takes more room than it announced."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgetl.errors import BundleHashError, BundleSizeError, StorageError, UploadError
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.staging import Staging, StandardInput
from tests.runtime.flashing.world import Bytes

DATA = os.urandom(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


class Endless:
    """Sends zeros for ever."""

    def read(self, size: int) -> bytes:
        return bytes(min(size, 100_000))


@pytest.mark.fault("F3")
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_upload_that_broke_off_goes_on_where_it_stopped(root: DeviceRoot, share: float) -> None:
    staging, cut = Staging(root), int(share * len(DATA))
    arrived = staging.receive(SHA256, len(DATA), 0, Bytes(DATA[:cut]))
    assert (arrived.size, arrived.complete) == (cut, False)
    assert not staging.whole(SHA256).exists()
    known = staging.arrived(SHA256, len(DATA))
    assert known == arrived and known.sha256 == hashlib.sha256(DATA[:cut]).hexdigest()
    assert staging.receive(SHA256, len(DATA), cut, Bytes(DATA[cut:])).complete
    assert staging.whole(SHA256).read_bytes() == DATA


_RECEIVER = """
import sys
from pathlib import Path
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.staging import Staging, StandardInput
folder, sha256, size, offset = sys.argv[1:]
Staging(DeviceRoot(Path(folder))).receive(sha256, int(size), int(offset), StandardInput())
"""


def receiver(root: DeviceRoot, offset: int) -> subprocess.Popen[bytes]:
    """The device's end of an upload, in a process of its own."""
    command = [sys.executable, "-c", _RECEIVER, str(root.path), SHA256, str(len(DATA)), str(offset)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


@pytest.mark.fault("F4")
def test_upload_whose_receiver_was_killed_goes_on_and_is_never_taken_for_whole(root: DeviceRoot) -> None:
    staging, offset = Staging(root), 0
    for _ in range(3):
        with receiver(root, offset) as process:
            assert process.stdin is not None
            process.stdin.write(DATA[offset : offset + 70_000])
            process.stdin.flush()
            deadline = time.monotonic() + 60
            while staging.arrived(SHA256, len(DATA)).size <= offset and time.monotonic() < deadline:
                time.sleep(0.02)
            process.kill()
        known = staging.arrived(SHA256, len(DATA))
        assert known.size > offset and not known.complete
        assert not staging.whole(SHA256).exists()
        offset = known.size
    with receiver(root, offset) as process:
        process.communicate(DATA[offset:], timeout=60)
        assert process.returncode == 0
    assert staging.whole(SHA256).read_bytes() == DATA


@pytest.mark.fault("F5")
def test_end_of_another_release_on_the_beginning_of_this_one(root: DeviceRoot) -> None:
    """The hash covers the whole file, so a right tail on a wrong head is refused and wiped."""
    staging, other = Staging(root), os.urandom(100_000)
    staging.receive(SHA256, len(DATA), 0, Bytes(other))
    with pytest.raises(BundleHashError, match="arrived altered"):
        staging.receive(SHA256, len(DATA), len(other), Bytes(DATA[len(other) :]))
    assert list(root.staging.iterdir()) == []
    assert staging.receive(SHA256, len(DATA), 0, Bytes(DATA)).complete


def test_endless_upload_ends_one_byte_after_its_announced_size(root: DeviceRoot) -> None:
    with pytest.raises(BundleSizeError, match="longer than the 300000 bytes"):
        Staging(root).receive(SHA256, len(DATA), 0, Endless())
    assert list(root.staging.iterdir()) == []


def test_gap_is_refused_and_what_arrived_stays(root: DeviceRoot) -> None:
    staging = Staging(root)
    staging.receive(SHA256, len(DATA), 0, Bytes(DATA[:1000]))
    with pytest.raises(UploadError, match="cannot go on at byte 5000: only 1000"):
        staging.receive(SHA256, len(DATA), 5000, Bytes(DATA[5000:]))
    assert staging.arrived(SHA256, len(DATA)).size == 1000


def test_going_on_before_the_end_of_what_arrived_writes_it_anew(root: DeviceRoot) -> None:
    staging = Staging(root)
    staging.receive(SHA256, len(DATA), 0, Bytes(DATA[:9000] + b"damage"))
    assert staging.receive(SHA256, len(DATA), 9000, Bytes(DATA[9000:])).complete


@pytest.mark.fault("F6")
def test_disk_that_fills_meanwhile_leaves_no_half_file(full_disk: Path) -> None:
    root = DeviceRoot(full_disk)
    root.prepare()
    with pytest.raises(StorageError, match="the disk is full"):
        Staging(root).receive(SHA256, len(DATA), 0, Bytes(DATA))
    assert list(root.staging.iterdir()) == []


def test_other_uploads_make_room(root: DeviceRoot) -> None:
    staging = Staging(root)
    staging.receive("ab" * 32, 10, 0, Bytes(b"half"))
    staging.receive(SHA256, len(DATA), 0, Bytes(DATA[:1000]))
    staging.clear(keep=SHA256)
    assert [p.name for p in root.staging.iterdir()] == [f"{SHA256}.part"]
    staging.clear()
    assert list(root.staging.iterdir()) == []


def test_silent_sender_is_given_up() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"begun")
    incoming = StandardInput(reader, silence_s=0.2)
    assert incoming.read(100) == b"begun"
    with pytest.raises(UploadError, match=r"silent for 0\.2 s"):
        incoming.read(100)
    os.close(writer)
    assert incoming.read(100) == b""
    os.close(reader)
