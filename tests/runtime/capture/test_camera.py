"""A camera that hangs, stalls, dies and comes back: a fault in bounded time, and frames again by itself."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.errors import MissingPartError, SourceError
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame
from tests.runtime import pictures as pic
from tests.runtime import tiny
from tests.runtime.capture import cameras
from tests.runtime.capture.cameras import PATIENCE_S, end, fault, good, running, until
from tests.runtime.servers import mjpeg_server, silent_server

QUICK = CameraConfig(open_timeout_s=2, frame_timeout_s=1)
RECONNECTIONS = int(os.environ.get("EDGETL_RECONNECTIONS", "2000"))  # `make test-all` asks for ten thousand


@pytest.fixture
def opened() -> Iterator[list[Camera]]:
    """Cameras that are closed at the end, whatever happens."""
    cameras_: list[Camera] = []
    yield cameras_
    for camera in cameras_:
        camera.close()


def child_of(camera: Camera) -> int:
    """The process that has the camera open: our one child in a session of its own."""
    (pid,) = [p for p in children(os.getpid()) if os.getsid(p) == p and b"capture.child" in command(p)]
    return pid


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(p) for p in (task / "children").read_text().split()]
    return found


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def some(count: int, width: int = 64, height: int = 48) -> Iterator[Image]:
    yield from (tiny.plain(tiny.LABELS[n % 3], width, height) for n in range(count))


@pytest.mark.parametrize("address", ["63", "/dev/video63", "/dev/null"])
def test_camera_that_is_not_there_is_refused(address: str) -> None:
    with pytest.raises(SourceError, match="no such camera"):
        Camera(address)


def test_refused_connection_is_refused() -> None:
    for scheme in ("http", "rtsp"):
        with pytest.raises(SourceError, match="does not answer"):
            Camera(f"{scheme}://127.0.0.1:{free_port()}/stream")


def test_camera_without_its_library_says_what_to_install() -> None:
    with pytest.raises(MissingPartError, match="Picamera2"):
        Camera("csi:0")


@pytest.mark.fault("C1")
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_peer_that_never_answers_is_given_up_in_time(scheme: str) -> None:
    with silent_server() as port:
        start = time.monotonic()
        with pytest.raises(SourceError, match="does not answer"):
            Camera(f"{scheme}://127.0.0.1:{port}/stream", CameraConfig(open_timeout_s=1, required_at_start=True))
        assert time.monotonic() - start < PATIENCE_S / 2  # without the limit FFmpeg waits for 30 s


@pytest.mark.fault("C1")
def test_service_on_a_peer_that_never_answers_gives_faults_at_a_bounded_rate(opened: list[Camera]) -> None:
    with silent_server() as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        start = time.monotonic()
        frames = [camera.read() for _ in range(4)]
        assert time.monotonic() - start > 3.0  # the first after frame_timeout_s, then one a second
    assert all(f is not None and f.image is None and f.fault for f in frames)
    assert not camera.health().ok


def test_frames_are_those_of_the_camera_and_stay_until_they_are_dropped(opened: list[Camera]) -> None:
    with mjpeg_server(lambda: some(60), stall=True) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        opened.append(camera)
        kept = [until(camera, good) for _ in range(4)]
        copies = [frame.image.copy() for frame in kept]  # type: ignore[union-attr]
        for _ in range(20):
            until(camera, good)
        assert all(np.array_equal(f.image, c) for f, c in zip(kept, copies, strict=True))  # type: ignore[arg-type]
    names = [("blue", "green", "red")[int(c.reshape(-1, 3).mean(axis=0).argmax())] for c in copies]
    assert set(names) <= set(tiny.LABELS) and len(set(names)) > 1
    assert copies[0].shape == (48, 64, 3)
    assert sorted(f.arrived_s for f in kept) == [f.arrived_s for f in kept]
    assert [f.index for f in kept] == list(range(4))


def test_sink_that_keeps_every_frame_starves_nobody_else(opened: list[Camera]) -> None:
    with mjpeg_server(lambda: some(10_000), stall=True) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        opened.append(camera)
        held = [until(camera, good) for _ in range(40)]
        assert [f.index for f in held] == list(range(40))  # not one fault between them
        assert {f.image.shape for f in held if f.image is not None} == {(48, 64, 3)}
        assert all(f.image.max() > 250 and f.image.min() < 5 for f in held if f.image is not None)


@pytest.mark.fault("C2")
def test_camera_that_stalls_is_a_fault_in_time_and_recovers(opened: list[Camera]) -> None:
    with running(cameras.mjpeg) as (port, process):
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        until(camera, good)
        process.send_signal(signal.SIGSTOP)
        lost = until(camera, fault)
        assert "no frame came" in str(lost.fault)
        assert not camera.health().ok
        process.send_signal(signal.SIGCONT)
        assert until(camera, good).image is not None
        assert camera.health().ok


def test_camera_that_is_restarted_is_back_soon(opened: list[Camera]) -> None:
    port = free_port()
    process, _ = cameras.mjpeg(port)
    try:
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        until(camera, good)
        end(process)
        until(camera, fault)
        time.sleep(2)  # the pauses have grown to their full length
        process, _ = cameras.mjpeg(port)
        assert until(camera, good).image is not None
    finally:
        end(process)


@pytest.mark.fault("C2")
def test_rtsp_camera_that_stalls_dies_and_returns(opened: list[Camera]) -> None:
    """A stalled RTSP stream makes FFmpeg hand out an old frame as if it were new; that one must not come through."""
    port = free_port()
    process, _ = cameras.rtsp(port)
    try:
        camera = Camera(f"rtsp://127.0.0.1:{port}/line", CameraConfig(open_timeout_s=10, frame_timeout_s=2))
        opened.append(camera)
        assert until(camera, good).image.shape == (240, 320, 3)  # type: ignore[union-attr]
        process.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        lost = until(camera, fault)
        assert lost.arrived_s - stopped_s < PATIENCE_S / 2
        late = [f for f in (camera.read() for _ in range(4)) if f is not None and f.image is not None]
        assert late == []
        end(process)
        process, _ = cameras.rtsp(port)
        assert until(camera, good).image is not None
    finally:
        end(process)


def test_settings_that_a_network_camera_does_not_take_are_named(
    opened: list[Camera], caplog: pytest.LogCaptureFixture
) -> None:
    """Of MJPEG no size is known before its first picture; a stream says its own, and its height is as asked."""
    asked = CameraConfig(width=640, height=240, exposure_ms=4, required_at_start=True)
    not_here = "but it can only be set in the camera or its address"
    with running(cameras.mjpeg) as (port, _):
        opened.append(Camera(f"http://127.0.0.1:{port}/stream", asked))
        assert until(opened[0], good) and opened[0].health().detail.split("; ") == [
            "MJPEG over HTTP", f"width: asked 640, {not_here}", f"height: asked 240, {not_here}",
            f"exposure_ms: asked 4.0, {not_here}",
        ]  # fmt: skip
    caplog.clear()
    with running(cameras.rtsp) as (port, _):
        opened.append(Camera(f"rtsp://127.0.0.1:{port}/line", asked))
        assert until(opened[1], good)
        assert opened[1].health().detail.split("; ")[1:] == [
            "width: asked 640, the camera has 320", f"exposure_ms: asked 4.0, {not_here}"
        ]  # fmt: skip
    assert not_here in caplog.text


@pytest.mark.fault("C3")
def test_camera_that_appears_later_is_found(opened: list[Camera]) -> None:
    port = free_port()
    camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
    opened.append(camera)
    assert "does not answer" in str(until(camera, fault).fault) or until(camera, fault)
    process, _ = cameras.mjpeg(port)
    try:
        assert until(camera, good).image is not None
    finally:
        end(process)


@pytest.mark.fault("C7")
def test_size_that_changes_in_the_stream_is_taken_as_it_comes(opened: list[Camera]) -> None:
    def growing() -> Iterator[Image]:
        yield from some(20)
        yield from some(1000, 320, 240)

    with mjpeg_server(growing) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        opened.append(camera)
        assert until(camera, good).image.shape == (48, 64, 3)  # type: ignore[union-attr]
        big = until(camera, lambda f: f.image is not None and f.image.shape == (240, 320, 3))
        assert big.image is not None and abs(int(big.image[120, 160].max()) - 255) < 8


@pytest.mark.fault("C8")
def test_of_a_burst_the_newest_frame_wins_and_the_others_are_counted(opened: list[Camera]) -> None:
    with running(lambda port: cameras.mjpeg(port, fps=2000)) as (port, _):
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        until(camera, lambda _: camera.health().skipped > 0)
        time.sleep(1.0)  # nobody takes frames meanwhile, and the camera goes on
        for _ in range(20):
            frame = until(camera, good)
        assert time.monotonic() - frame.arrived_s < 1.0


@pytest.mark.fault("C10")
def test_process_that_hangs_is_killed_and_replaced(opened: list[Camera]) -> None:
    with running(cameras.mjpeg) as (port, _):
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        until(camera, good)
        first = child_of(camera)
        os.kill(first, signal.SIGSTOP)
        until(camera, fault)
        assert until(camera, good).image is not None
        assert child_of(camera) != first
        assert not Path(f"/proc/{first}").exists()
        assert camera.health().restarts == 1


def test_reader_that_pauses_does_not_take_its_own_pause_for_a_hanging_camera(opened: list[Camera]) -> None:
    with running(cameras.mjpeg) as (port, process):
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        until(camera, good)
        for _ in range(2):
            time.sleep(2.5)  # more than one and a half times frame_timeout_s
            until(camera, good)
        assert camera.health().restarts == 0
        end(process)
        until(camera, lambda f: f.fault is not None and "not answer" in f.fault)
        time.sleep(6)  # more than the child may be silent between its tries
        until(camera, fault)
        assert camera.health().restarts == 0


@pytest.mark.fault("W3")
def test_camera_s_process_that_runs_out_of_memory_is_replaced_and_reported(
    opened: list[Camera], caplog: pytest.LogCaptureFixture
) -> None:
    def growing() -> Iterator[Image]:
        yield from some(60)
        yield from some(1000, 4000, 3000)

    with mjpeg_server(growing) as port:
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        until(camera, good)
        child = child_of(camera)
        now_bytes = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(child, resource.RLIMIT_AS, (now_bytes, now_bytes))
        until(camera, lambda _: camera.health().restarts >= 1)
        assert "crashed" in caplog.text
        assert until(camera, good).image is not None and child_of(camera) != child


@pytest.mark.fault("C9")
@pytest.mark.slow
def test_thousands_of_reconnections_leave_memory_and_descriptors_as_they_were(opened: list[Camera]) -> None:
    """The server hangs up after each picture. Memory and descriptors of both processes are compared over the last
    nine tenths, when every buffer has its size."""
    config = CameraConfig(open_timeout_s=5, frame_timeout_s=5, retry_pause_s=0.01)
    with one_picture_server() as port:
        camera = Camera(f"http://127.0.0.1:{port}/", config)
        opened.append(camera)
        early: list[int] = []
        while camera.health().reconnects < RECONNECTIONS:
            camera.read()
            if not early and camera.health().reconnects >= RECONNECTIONS // 10:
                early = costs(camera)
        late = costs(camera)
    assert camera.health().restarts == 0
    assert late[1] <= early[1] + 2 and late[3] <= early[3] + 2
    assert late[0] < early[0] + 5_000_000 and late[2] < early[2] + 5_000_000


def costs(camera: Camera) -> list[int]:
    """Resident bytes and descriptors of this process and of the camera's."""
    found = []
    for pid in (os.getpid(), child_of(camera)):
        found.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize())
        found.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    return found


@contextlib.contextmanager
def one_picture_server() -> Iterator[int]:
    """Sends one picture to each caller and hangs up."""
    data = pic.jpeg(tiny.plain("red", 64, 48))
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
    answer = head + b"--b\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.fault("C11")
def test_process_that_keeps_crashing_is_started_less_and_less(opened: list[Camera]) -> None:
    with running(cameras.mjpeg) as (port, _):
        camera = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(camera)
        for crash in range(5):
            until(camera, good)
            os.kill(child_of(camera), signal.SIGSEGV)
            until(camera, lambda _, crash=crash: camera.health().restarts > crash)  # type: ignore[misc]
        until(camera, good)
        os.kill(child_of(camera), signal.SIGSEGV)
        assert "SIGSEGV" in str(until(camera, fault).fault)
        assert "too many restarts" in camera.health().detail
        assert [f.fault is not None for f in (camera.read(), camera.read()) if f is not None] == [True, True]
        assert camera.health().restarts == 5


@pytest.mark.fault("C12")
def test_dead_camera_takes_nothing_from_its_neighbour(opened: list[Camera]) -> None:
    """At 25 a second most frames come when they should, however busy the machine; so the median of the gaps is compared."""
    with running(cameras.mjpeg) as (port, _), silent_server() as dead:
        alone = Camera(f"http://127.0.0.1:{port}/stream", QUICK)
        opened.append(alone)
        until(alone, good)
        before = [until(alone, good) for _ in range(50)]
        neighbour = Camera(f"http://127.0.0.1:{dead}/stream", QUICK)
        opened.append(neighbour)
        frames = [until(alone, good) for _ in range(75)]
        assert not neighbour.health().ok
        assert [f.index for f in frames] == list(range(before[-1].index + 1, before[-1].index + 76))  # no fault between
        assert alone.health().ok and alone.health().reconnects == 0
        assert gap_s(frames) < 1.5 * gap_s(before)


def gap_s(frames: list[Frame]) -> float:
    """The median time from a frame to the next."""
    return float(np.median(np.diff([frame.arrived_s for frame in frames])))


@pytest.mark.fault("I1")
def test_damaged_jpeg_is_a_fault_and_the_next_one_counts(opened: list[Camera]) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    whole = pic.jpeg(pic.noise())
    start = whole.index(b"\xff\xda") + 20
    broken = whole[:start] + bytes(len(whole) // 2) + whole[start + len(whole) // 2 :]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
            self.end_headers()
            try:
                for number in range(400):
                    data = broken if number % 4 == 1 else whole[: len(whole) // 2] if number % 4 == 3 else whole
                    self.wfile.write(b"--b\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data))
                    time.sleep(0.05)
            except OSError:
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        camera = Camera(f"http://127.0.0.1:{server.server_port}/stream")
        opened.append(camera)
        assert "damaged" in str(until(camera, lambda f: "damaged" in str(f.fault)).fault)
        # A picture that is cut short ends where the next one begins, and gives way to it: it is never judged.
        for _ in range(20):
            frame = until(camera, good)
            assert np.array_equal(frame.image, cv2_decoded(whole))  # type: ignore[arg-type]
        assert camera.health().reconnects == 0
    finally:
        server.shutdown()
        server.server_close()


def cv2_decoded(data: bytes) -> Image:
    import cv2

    image: Image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return image


@pytest.mark.fault("P5")
def test_password_is_in_no_name_no_message_and_no_command_line(opened: list[Camera]) -> None:
    with pytest.raises(SourceError) as caught:
        Camera(f"http://anna:s3cret@127.0.0.1:{free_port()}/stream")
    assert "s3cret" not in str(caught.value) and "anna" not in str(caught.value)
    with mjpeg_server(lambda: some(5), stall=True) as port:
        camera = Camera(f"http://anna:s3cret@127.0.0.1:{port}/stream")
        opened.append(camera)
        frame = until(camera, good)
        assert frame.name == camera.name == f"http://…@127.0.0.1:{port}/stream"
        assert b"s3cret" not in command(child_of(camera))


def test_closing_ends_the_process_and_leaves_nothing_open() -> None:
    with mjpeg_server(lambda: some(10_000)) as port:
        before = set(Path("/proc/self/fd").iterdir())
        camera = Camera(f"http://127.0.0.1:{port}/stream")
        until(camera, good)
        pid = child_of(camera)
        camera.close()
        assert camera.read() is None
        assert not Path(f"/proc/{pid}").exists()
        del camera
    assert len(set(Path("/proc/self/fd").iterdir())) <= len(before) + 1


def test_process_ends_with_its_parent(tmp_path: Path) -> None:
    """Even a parent that is killed outright leaves no camera open behind it."""
    import subprocess
    import sys

    program = (
        "import sys, time\nfrom edgetl.runtime.capture.camera import Camera\n"
        "camera = Camera(sys.argv[1])\ncamera.read()\nprint(camera._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with running(cameras.mjpeg) as (port, _):
        parent = subprocess.Popen(
            [sys.executable, "-c", program, f"http://127.0.0.1:{port}/x"], stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        deadline = time.monotonic() + PATIENCE_S
        while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.05)
        else:
            assert not Path(f"/proc/{child}").exists()
