"""A video as cameras record it: H.264 with B-frames, made by the real encoder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgetl.runtime.sources.video import VideoFile


def test_every_frame_of_an_h264_file_is_read(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg; run: make system")
    path = tmp_path / "line.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=30:duration=1"]
    subprocess.run([*command, "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", str(path)], check=True)
    source = VideoFile(path)
    frames = list(iter(source.read, None))
    source.close()
    assert [frame.index for frame in frames] == list(range(30))
    assert {frame.image.shape for frame in frames if frame.image is not None} == {(360, 640, 3)}
