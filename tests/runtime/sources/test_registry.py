"""What an address on the command line means."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import SourceError, UsageError
from edgetl.runtime.sources import open_source
from edgetl.runtime.sources.base import redacted
from edgetl.runtime.sources.folder import PictureFolder
from edgetl.runtime.sources.sim import SimSource
from edgetl.runtime.sources.video import VideoFile
from tests.runtime import pictures as pic
from tests.runtime import videos


def test_address_finds_its_source(tmp_path: Path) -> None:
    pic.save(tmp_path / "folder" / "a.png", pic.quarters())
    video = videos.write(tmp_path / "v.avi", frames=2)
    for address, kind in (
        (tmp_path / "folder", PictureFolder),
        (tmp_path / "folder/a.png", PictureFolder),
        (video, VideoFile),
        ("sim:parts=1", SimSource),
    ):
        source = open_source(str(address))
        assert type(source) is kind
        source.close()


def test_number_and_device_are_cameras() -> None:
    for address in ("63", "/dev/video63"):
        with pytest.raises(SourceError, match="no such camera"):
            open_source(address)


@pytest.mark.parametrize("address", ["nowhere", "", "ftp://host/x", "-1", "1.5"])
def test_unknown_address_is_wrong_usage(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, SourceError)) as caught:
        open_source(address)
    assert "\n" not in str(caught.value)
    if address:
        assert isinstance(caught.value, UsageError)


@pytest.mark.fault("P5")
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://anna:s3cret@cam:554/h264?x=1", "rtsp://…@cam:554/h264?x=1"),
        ("http://anna@cam/stream", "http://…@cam/stream"),
        ("rtsp://cam/stream", "rtsp://cam/stream"),
        ("rtsp://anna:s3@cret@cam/stream", "rtsp://…@cam/stream"),
        ("rtsp://anna:s3/cret@cam/stream", "rtsp://…@cam/stream"),
        ("http://cam/live?user=anna&password=s3cret&res=hd", "http://cam/live?user=…&password=…&res=hd"),
        ("http://cam/live?ch=1&PWD=s3cret", "http://cam/live?ch=1&PWD=…"),
    ],
)
def test_password_is_cut_out_of_an_address(address: str, shown: str) -> None:
    assert redacted(address) == shown
