"""A video stream that was damaged on its way: FFmpeg patches the pictures up, and they must not be judged."""

from __future__ import annotations

import os
import signal

import pytest

from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.decoder_log import IN_FLIGHT, LONGEST_S, Damage, DecoderLog
from tests.runtime.capture import cameras
from tests.runtime.capture.cameras import good, running, until


@pytest.mark.parametrize("damage", [signal.SIGUSR1, signal.SIGUSR2], ids=["changed bytes", "a lost picture"])
def test_pictures_are_faults_from_the_damage_to_the_next_whole_one(damage: signal.Signals) -> None:
    with running(cameras.rtsp) as (port, process):
        camera = Camera(f"rtsp://127.0.0.1:{port}/line", CameraConfig(open_timeout_s=10, required_at_start=True))
        try:
            for _ in range(40):
                assert until(camera, good).fault is None
            process.send_signal(damage)
            first = until(camera, lambda frame: "the stream is damaged" in str(frame.fault))
            again = until(camera, good)
            assert again.index - first.index >= IN_FLIGHT, "none between them was good"
            assert camera.health().reconnects == 0
        finally:
            camera.close()


def test_decoder_that_is_not_taken_so_strictly_is_believed() -> None:
    with running(cameras.rtsp) as (port, process):
        config = CameraConfig(open_timeout_s=10, required_at_start=True, strict=False)
        camera = Camera(f"rtsp://127.0.0.1:{port}/line", config)
        try:
            until(camera, good)
            process.send_signal(signal.SIGUSR1)
            assert all(until(camera, lambda _: True).fault is None for _ in range(40))
        finally:
            camera.close()


P, I = ord("P"), ord("I")  # noqa: E741


def test_damage_lasts_until_a_whole_picture_that_was_surely_sent_after_it() -> None:
    damage = Damage()
    assert damage.see("no frame!", I, 0.0) is None, "before it joined"
    assert damage.see(None, P, 0.04) is None
    assert damage.see("error while decoding MB 1 2", P, 0.08) == "error while decoding MB 1 2"
    assert all(damage.see(None, I, 0.1) for _ in range(IN_FLIGHT - 1)), "these may have been decoded before"
    assert damage.see(None, P, 0.5) is not None
    assert damage.see(None, I, 0.6) is None
    assert damage.see(None, P, 0.7) is None


def test_damage_of_a_stream_without_whole_pictures_ends_by_time() -> None:
    damage = Damage()
    damage.see(None, I, 0.0)
    assert damage.see("cbp too large", P, 1.0)
    assert damage.see(None, P, 0.9 + LONGEST_S)
    assert damage.see(None, P, 1.0 + LONGEST_S) is None


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("[OPENCV:FFMPEG:16] error while decoding MB 1 9", "error while decoding MB 1 9"),
        (
            "[OPENCV:FFMPEG:48] nal_unit_type: 1(Coded slice)\n[OPENCV:FFMPEG:48] Frame num gap 11 9",
            "Frame num gap 11 9",
        ),
        ("[OPENCV:FFMPEG:24] RTP: missed 3 packets", "RTP: missed 3 packets"),
        ("[OPENCV:FFMPEG:24] deprecated pixel format used\n[OPENCV:FFMPEG:32] concealing 3 DC", None),
        ("", None),
    ],
)
def test_complaints_are_told_from_the_rest_of_the_log(line: str, wanted: str | None) -> None:
    before = dict(os.environ)
    log = DecoderLog()
    try:
        os.write(1, f"{line}\n".encode())
        assert log.complaint() == wanted
        assert log.complaint() is None, "told once"
    finally:
        log.close()
    assert dict(os.environ) == before, "or whatever this process starts would fill its stdout"
