"""GStreamer pipelines: how they are ended, and a real one, read with Debian's OpenCV where that is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import msgspec
import pytest

from edgetl.errors import MissingPartError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.gstreamer import GStreamerCamera, pipeline_of

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PYTHON = "/usr/bin/python3"


def test_pipeline_ends_where_the_newest_frame_alone_is_kept() -> None:
    made = pipeline_of("gst: v4l2src device=/dev/video0 ! jpegdec ! ")
    assert made.startswith("v4l2src device=/dev/video0 ! jpegdec ! videoconvert ! video/x-raw,format=BGR ! appsink ")
    assert "drop=true max-buffers=1" in made
    own = "videotestsrc ! videoconvert ! appsink name=mine"
    assert pipeline_of(f"gst:{own}") == own


def test_opencv_without_gstreamer_says_where_there_is_one() -> None:
    if "GStreamer:                   YES" in cv2.getBuildInformation():
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(MissingPartError, match="python3-opencv"):
        GStreamerCamera("gst:videotestsrc", CameraConfig())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the system's own Python finds edgetl and the one library that it lacks, and nothing else of this environment."""
    ask = "import cv2, sys; print(any('GStreamer' in l and 'YES' in l for l in cv2.getBuildInformation().splitlines()))"
    done = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True, check=False)
    if done.stdout.strip() != "True":
        pytest.skip("needs an OpenCV with GStreamer; run: make system")
    folder = tmp_path_factory.mktemp("gst")
    (folder / "edgetl").symlink_to(ROOT / "typecheck" / "edgetl")
    (folder / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    given = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    done = subprocess.run([PYTHON, "-c", "import msgspec"], env={**os.environ, "PYTHONPATH": given}, check=False)
    if done.returncode != 0:
        pytest.skip("the system's Python is of another version than this one, and has no msgspec")
    return given


def read(path: str, pipeline: str, frames: int, width: int = 320) -> dict[str, Any]:
    done = subprocess.run(
        [PYTHON, str(HERE / "gst_program.py"), f"gst:{pipeline}", str(frames), str(width)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


RED = "videotestsrc is-live=true pattern=red ! video/x-raw,width=320,height=240,framerate=30/1"


def test_frames_of_a_real_pipeline_have_its_size_and_colour(path: str) -> None:
    said = read(path, RED, 10)
    (shape, (blue, green, red)) = said["last"]
    assert (shape, said["faults"], said["rising"]) == ([240, 320, 3], [], True)
    assert blue < 10 and green < 10 and red > 245
    assert said["told"] == "GStreamer pipeline 320×240"


def test_pipeline_of_another_size_than_asked_is_named(path: str) -> None:
    assert read(path, RED, 2, width=640)["told"].endswith("width: asked 640, the camera has 320")


def test_pipeline_that_ends_is_a_fault_and_begins_anew(path: str) -> None:
    said = read(path, RED.replace("is-live=true", "is-live=true num-buffers=5"), 20)
    assert said["last"] is not None and any("the pipeline gave no frame" in fault for fault in said["faults"])


def test_pipeline_that_cannot_start_is_refused(path: str) -> None:
    assert "cannot start the pipeline" in read(path, "filesrc location=/nowhere ! decodebin", 1)["error"]
