"""`edgetl run` as an operator meets it: verdict lines, exit codes, and what happens when things go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgetl.runtime.preprocess import Image
from tests.conftest import edgetl
from tests.runtime import pictures as pic
from tests.runtime import tiny, videos
from tests.runtime.servers import mjpeg_server, silent_server

FAST = ("--interpreter", "litert", "--threads", 1)
Done = subprocess.CompletedProcess[str]


def lines_of(done: Done) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The verdicts and the summary of a run with --json."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:-1], lines[-1]["summary"]


def told_in_one_line(done: Done, code: str) -> None:
    """An error is one line of ours on stderr (libraries may add theirs), and no traceback."""
    ours = [line for line in done.stderr.splitlines() if line.startswith("edgetl: ")]
    assert len(ours) == 1 and ours[0].startswith(f"edgetl: {code}: "), done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, colour in enumerate(["red", "green", "grey", "blue"]):
        pic.save(tmp_path / "parts" / f"{number}.png", tiny.plain(colour))
    return tmp_path / "parts"


def test_folder_gives_a_verdict_a_picture_and_a_summary(tiny_bundle: Path, folder: Path) -> None:
    done = edgetl("run", tiny_bundle, "--source", folder, "--json", *FAST)
    assert done.returncode == 0, done.stderr
    verdicts, summary = lines_of(done)
    assert [(v["source"], v["verdict"], v["label"]) for v in verdicts] == [
        ("0.png", "NG", "red"), ("1.png", "OK", "green"), ("2.png", "UNKNOWN", "red"), ("3.png", "NG", "blue")
    ]  # fmt: skip
    assert summary["verdicts"] == {"OK": 1, "NG": 2, "UNKNOWN": 1, "FAULT": 0}
    assert (summary["frames"], summary["dropped"], summary["error"]) == (4, 0, None)
    assert summary["first_verdict_s"] > 0 and summary["peak_memory_mb"] > 10


@pytest.mark.fault("I3")
def test_unreadable_picture_is_a_fault_and_the_rest_is_judged(tiny_bundle: Path, folder: Path) -> None:
    (folder / "1.png").write_bytes(b"not a picture")
    (folder / "2.png").unlink()
    os.mkfifo(folder / "2.png")
    (folder / "9.jpg").mkdir()
    done = edgetl("run", tiny_bundle, "--source", folder, "--json", *FAST)
    assert done.returncode == 0, done.stderr
    verdicts, summary = lines_of(done)
    assert {v["source"]: (v["verdict"], v["label"]) for v in verdicts if v["source"] in ("0.png", "3.png")} == {
        "0.png": ("NG", "red"), "3.png": ("NG", "blue")
    }  # fmt: skip
    faults = [v for v in verdicts if v["verdict"] == "FAULT"]
    assert {"1.png", "2.png"} <= {v["source"] for v in faults}
    assert all(v["label"] is None and v["score"] is None and v["reason"] for v in faults)
    assert summary["verdicts"]["FAULT"] == len(faults)


def test_text_is_for_people(tiny_bundle: Path, folder: Path) -> None:
    done = edgetl("run", tiny_bundle, "--source", folder / "1.png", *FAST)
    assert done.returncode == 0, done.stderr
    assert "green 1.000" in done.stdout
    assert "1 judged of 1 frames (1 OK)" in done.stdout


def test_video_is_judged_and_saved(tiny_bundle: Path, tmp_path: Path) -> None:
    video, saved = videos.write(tmp_path / "parts.avi", frames=12), tmp_path / "line.mp4"
    done = edgetl("run", tiny_bundle, "--source", video, "--json", "--save", saved, "--limit", 9, *FAST)
    assert done.returncode == 0, done.stderr
    verdicts, _ = lines_of(done)
    assert [v["label"] for v in verdicts] == [tiny.LABELS[n % 3] for n in range(9)]
    assert cv2.VideoCapture(str(saved)).get(cv2.CAP_PROP_FRAME_COUNT) == 9


def test_video_that_breaks_off_ends_with_a_fault(tiny_bundle: Path, tmp_path: Path) -> None:
    video = videos.write(tmp_path / "parts.avi")
    os.truncate(video, video.stat().st_size // 2)
    done = edgetl("run", tiny_bundle, "--source", video, "--json", *FAST)
    assert done.returncode == 1
    told_in_one_line(done, "E_SOURCE")
    verdicts, summary = lines_of(done)
    assert [v["label"] for v in verdicts[:-1]] == [tiny.LABELS[n % 3] for n in range(len(verdicts) - 1)]
    assert (verdicts[-1]["verdict"], verdicts[-1]["label"]) == ("FAULT", None)
    assert "ends early" in verdicts[-1]["reason"] and "ends early" in summary["error"]


def some(count: int) -> Iterator[Image]:
    yield from (tiny.plain(tiny.LABELS[n % 3], 64, 48) for n in range(count))


@pytest.mark.fault("P5")
def test_stream_that_breaks_off_is_a_fault_and_is_taken_up_again_without_showing_its_password(
    tiny_bundle: Path,
) -> None:
    with mjpeg_server(lambda: some(15)) as port:
        address = f"http://anna:s3cret@127.0.0.1:{port}/stream?password=hidden1"
        done = edgetl("run", tiny_bundle, "--source", address, "--json", "--limit", 40, *FAST)
    assert done.returncode == 0, done.stderr
    verdicts, summary = lines_of(done)
    kinds = [v["verdict"] == "FAULT" for v in verdicts]
    assert False in kinds[kinds.index(True) :]  # a fault, and frames after it
    assert all((v["label"] in tiny.LABELS) == (v["verdict"] != "FAULT") for v in verdicts)
    assert summary["verdicts"]["FAULT"] == sum(kinds)
    for secret in ("anna", "s3cret", "hidden1"):
        assert secret not in done.stdout + done.stderr


@pytest.mark.fault("P5")
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_unreachable_stream_shows_no_password(tiny_bundle: Path, scheme: str) -> None:
    with silent_server() as port:
        pass
    address = f"{scheme}://anna:s3cret@127.0.0.1:{port}/stream"
    done = edgetl("run", tiny_bundle, "--source", address, *FAST)
    assert done.returncode == 1
    told_in_one_line(done, "E_SOURCE")
    assert "s3cret" not in done.stdout + done.stderr and "anna" not in done.stdout + done.stderr


@pytest.mark.fault("P5")
def test_mistyped_stream_shows_no_password(tiny_bundle: Path) -> None:
    done = edgetl("run", tiny_bundle, "--source", "rtps://anna:s3cret@cam/stream", *FAST)
    assert done.returncode == 2
    told_in_one_line(done, "E_USAGE")
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize("source", ["63", "/dev/video63"])
def test_camera_that_is_not_there_is_one_line(tiny_bundle: Path, source: str) -> None:
    done = edgetl("run", tiny_bundle, "--source", source, "--json", *FAST)
    assert (done.returncode, done.stdout) == (1, "")
    told_in_one_line(done, "E_SOURCE")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "sim:nonsense=1"], "unknown setting"),
        (["--source", "/nowhere/at/all"], "no such file or folder"),
        (["--source", "sim:", "--interpreter", "tensorrt"], "unknown interpreter"),
        (["--source", "sim:", "--threads", "0"], "threads"),
        (["--source", "sim:", "--limit", "-5"], "limit"),
        (["--source", "sim:parts=1", "--save", "line.mkv"], ".mp4 or .avi"),
        ([], "--source"),
    ],
)
def test_wrong_usage_is_exit_code_2(tiny_bundle: Path, arguments: list[str], words: str) -> None:
    done = edgetl("run", tiny_bundle, *arguments)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_damaged_bundle_is_refused_before_the_camera_is_opened(tiny_bundle: Path, tmp_path: Path) -> None:
    data = bytearray(tiny_bundle.read_bytes())
    data[data.index(b"TFL3") + 100] ^= 4
    path = tmp_path / "x.edgetl"
    path.write_bytes(data)
    done = edgetl("run", path, "--source", "63", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    told_in_one_line(done, "E_HASH")


@pytest.mark.fault("M1")
def test_bundle_around_a_damaged_model_is_a_model_error(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "x.edgetl", {**tiny.content(), "model/int8.tflite": b"\x08\0\0\0TFL3"})
    done = edgetl("run", path, "--source", "sim:parts=1", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    told_in_one_line(done, "E_MODEL")


def test_every_part_of_a_fast_line_gets_one_verdict(small_bundle: Path) -> None:
    """At 300 parts a minute, by the clock, with a model that the exporter made."""
    done = edgetl("run", small_bundle, "--source", "sim:parts=20,parts_per_minute=300,width=320,height=240", "--json")
    assert done.returncode == 0, done.stderr
    verdicts, summary = lines_of(done)
    assert Counter(v["part"] for v in verdicts) == Counter(range(1, 21))
    assert (summary["line"]["parts"], summary["line"]["missed"], summary["line"]["twice"]) == (20, 0, 0)
    assert summary["dropped_parts"] == 0
    assert {v["verdict"] for v in verdicts} <= {"OK", "NG", "UNKNOWN"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.fault("W2")
def test_signal_ends_the_run_with_its_summary(tiny_bundle: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "edgetl", "run", str(tiny_bundle), "--json", *map(str, FAST)]
    source = "sim:parts_per_minute=600,width=160,height=120"
    with subprocess.Popen(
        [*command, "--source", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        first = run.stdout.readline()
        run.send_signal(number)
        rest = run.stdout.read()
        assert run.wait(timeout=5) == 0, run.stderr.read()
        assert "Traceback" not in run.stderr.read()
    *verdicts, last = [json.loads(line) for line in (first + rest).splitlines()]
    assert [v["sequence"] for v in verdicts] == list(range(1, len(verdicts) + 1))
    assert last["summary"]["judged"] == len(verdicts)


def test_full_disk_for_the_video_is_told_and_every_part_judged(tiny_bundle: Path, full_disk: Path) -> None:
    path = full_disk / "line.avi"
    path.write_bytes(b"earlier")
    source = "sim:parts=3,parts_per_minute=300,pace=fast"
    done = edgetl("run", tiny_bundle, "--source", source, "--json", "--save", path, *FAST)
    assert done.returncode == 1
    told_in_one_line(done, "E_STORAGE")
    verdicts, summary = lines_of(done)
    assert [v["part"] for v in verdicts] == [1, 2, 3]
    assert summary["line"]["missed"] == 0
    assert path.read_bytes() == b"earlier"
    assert [p.name for p in full_disk.iterdir()] == ["line.avi"]


def test_video_cannot_be_saved_there(tiny_bundle: Path) -> None:
    done = edgetl("run", tiny_bundle, "--source", "sim:parts=1,pace=fast", "--save", "/proc/line.mp4", "--json", *FAST)
    assert done.returncode == 1
    told_in_one_line(done, "E_STORAGE")
