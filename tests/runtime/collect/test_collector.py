"""The collector on a real folder: what it writes can be read back, and a bad disk does not end the line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edgetl.runtime.collect import Collected, Collector, CollectSettings, read_collected
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import RegionResult, Verdict, VerdictKind


def frame_of(index: int, image: Image | None) -> Frame:
    return Frame(index, "camera 0", image, 0.0, 0.0)


def noise(seed: int, side: int = 100) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def verdict_of(sequence: int, kind: VerdictKind, score: float | None = 0.99, **more: object) -> Verdict:
    label = None if kind == "FAULT" else {"OK": "good", "NG": "scratch", "UNKNOWN": "good"}[kind]
    return Verdict(
        sequence=sequence, verdict=kind, label=label, score=score, source="camera 0", frame=sequence, time_s=0.0,
        latency_ms=1.0, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def collector(folder: Path, *, drifted: bool = False, **settings: object) -> Collector:
    asked = {"folder": str(folder), "random_share": 0.0, "per_minute": 6000, **settings}
    return Collector(msgspec.convert(asked, CollectSettings), "bundle", ("good", "scratch"), lambda: drifted, seed=1)


def test_a_reject_is_kept_whole_with_what_was_said_of_it(tmp_path: Path) -> None:
    keeper = collector(tmp_path / "kept")
    picture = noise(1)
    keeper.show(frame_of(7, picture), verdict_of(7, "NG", device="press-3", time="2026-01-02T03:04:05Z"))
    keeper.show(frame_of(8, picture), verdict_of(8, "OK"))
    keeper.show(frame_of(9, None), verdict_of(9, "FAULT", None))
    keeper.close()
    (record,) = read_collected(tmp_path / "kept")
    assert (record.sequence, record.device, record.label, record.reasons) == (7, "press-3", "scratch", ("reject",))
    data = (tmp_path / "kept" / record.picture).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (record.size_bytes, record.sha256)
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), picture)


def test_the_callers_picture_may_change_at_once(tmp_path: Path) -> None:
    keeper = collector(tmp_path / "kept")
    picture = noise(1)
    before = picture.copy()
    keeper.show(frame_of(1, picture), verdict_of(1, "NG"))
    picture[:] = 0  # a camera's buffer is filled with the next frame
    keeper.close()
    (record,) = read_collected(tmp_path / "kept")
    assert np.array_equal(cv2.imread(str(tmp_path / "kept" / record.picture)), before)


def test_of_a_line_with_regions_the_regions_are_kept(tmp_path: Path) -> None:
    keeper = collector(tmp_path / "kept")
    picture = noise(2)
    regions = (
        RegionResult(name="left", verdict="OK", label="good", score=0.99, expected=("good",), box=(0, 0, 40, 50)),
        RegionResult(name="a/b", verdict="NG", label="scratch", score=0.97, expected=("good",), box=(40, 10, 90, 60)),
    )
    keeper.show(frame_of(1, picture), verdict_of(1, "NG", regions=regions))
    keeper.close()
    (record,) = read_collected(tmp_path / "kept")
    assert (record.region, record.label) == ("a/b", "scratch") and "/" not in record.picture
    assert np.array_equal(cv2.imread(str(tmp_path / "kept" / record.picture)), picture[10:60, 40:90])


def test_while_drift_stands_good_parts_are_kept_too(tmp_path: Path) -> None:
    keeper = collector(tmp_path / "kept", drifted=True)
    keeper.show(frame_of(1, noise(1)), verdict_of(1, "OK"))
    keeper.close()
    assert [r.reasons for r in read_collected(tmp_path / "kept")] == [("drift",)]


def test_the_quota_holds_over_restarts_and_rejects_are_the_last_to_go(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for start in (0, 100):
        keeper = collector(folder, max_bytes=1_000_000, unsure_below=0.995)
        for i in range(30):
            keeper.show(frame_of(i, noise(i, 120)), verdict_of(start + i, "NG" if i % 3 == 0 else "OK"))
            while keeper.health().waiting:
                pass
        keeper.close()
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 1_000_000, "the records take room too"
    records = read_collected(folder)
    rejects = [r.sequence for r in records if "reject" in r.reasons]
    assert rejects == [*range(0, 30, 3), *range(100, 130, 3)]
    assert 0 < len(records) - len(rejects) < 40
    assert {p.stem for p in folder.iterdir()} == {Path(r.picture).stem for r in records}


@pytest.mark.fault("D9")
@pytest.mark.parametrize("years", [10, -10])
def test_what_goes_first_is_the_oldest_whatever_the_clock_said(tmp_path: Path, years: int) -> None:
    """Three starts, with a clock that jumps between the first and the second one and back."""
    sequence = 0
    for start, jumped in enumerate((0, years, 0)):
        settings = CollectSettings(folder=str(tmp_path), max_bytes=1_000_000, per_minute=6000)
        keeper = Collector(settings, "bundle", ("good",), clock=lambda at=1.7e9 + jumped * 3.15e7: at)  # type: ignore[misc]
        for _ in range(20):
            sequence += 1
            keeper.show(frame_of(sequence, noise(sequence, 120)), verdict_of(sequence, "NG"))
            while keeper.health().waiting:
                pass
        keeper.close()
        kept = [record.sequence for record in read_collected(tmp_path)]
        assert kept == list(range(sequence - len(kept) + 1, sequence + 1)), f"start {start}: the newest stay, in order"
    assert 20 < len(kept) < 60


@pytest.mark.fault("D6")
def test_pictures_whose_records_are_gone_stay_until_their_room_is_needed(tmp_path: Path) -> None:
    keeper = collector(tmp_path, max_bytes=1_000_000)
    for i in range(20):
        keeper.show(frame_of(i, noise(i)), verdict_of(i, "NG"))
        while keeper.health().waiting:
            pass
    keeper.close()
    pictures = sorted(tmp_path.glob("*.png"))
    for record in tmp_path.glob("*.json"):
        record.unlink()
    assert len(pictures) == 20
    keeper = collector(tmp_path, max_bytes=1_000_000)
    assert sorted(tmp_path.glob("*.png")) == pictures
    for i in range(20):
        keeper.show(frame_of(i, noise(i, 120)), verdict_of(100 + i, "NG"))
        while keeper.health().waiting:
            pass
    keeper.close()
    assert len(read_collected(tmp_path)) == 20
    assert sum(path.stat().st_size for path in tmp_path.glob("*.png")) <= 1_000_000
    assert 0 < sum(path.exists() for path in pictures) < 20


def test_pictures_of_somebody_else_in_the_folder_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_bytes(bytes(2_000_000))
    keeper = collector(tmp_path, max_bytes=1_000_000)
    for i in range(40):
        keeper.show(frame_of(i, noise(i)), verdict_of(i, "NG"))
        while keeper.health().waiting:
            pass
    keeper.close()
    assert (tmp_path / "holiday.png").stat().st_size == 2_000_000
    assert read_collected(tmp_path)


def test_a_record_that_points_elsewhere_or_is_damaged_is_left_out(tmp_path: Path) -> None:
    keeper = collector(tmp_path)
    keeper.show(frame_of(1, noise(1)), verdict_of(1, "NG"))
    keeper.close()
    (record,) = read_collected(tmp_path)
    elsewhere = msgspec.structs.replace(record, picture="../secret.png")
    (tmp_path / "z.json").write_bytes(msgspec.json.encode(elsewhere))
    (tmp_path / "y.json").write_bytes(b"{")
    assert read_collected(tmp_path) == [record]


_FULL = """
import sys
from tests.runtime.collect.test_collector import collector, frame_of, noise, verdict_of
from pathlib import Path
keeper = collector(Path(sys.argv[1]))
for i in range(6):
    keeper.show(frame_of(i, noise(i, 200)), verdict_of(i, "NG"))
    while keeper.health().waiting:
        pass
keeper.close()
health = keeper.health()
print(health.ok, health.delivered, health.dropped, health.detail)
"""


@pytest.mark.fault("D1")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system; run as root")
def test_a_full_disk_ends_the_collecting_not_the_line(tmp_path: Path) -> None:
    """Inspection goes on, pictures stop, the health says why, and nothing half-written is read as whole."""
    script = f"mount -t tmpfs -o size=300k tmpfs {tmp_path} && exec {sys.executable} -c '{_FULL}' {tmp_path}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ok, delivered, dropped, *detail = done.stdout.split()
    assert (ok, int(delivered) + int(dropped)) == ("False", 6) and 1 <= int(delivered) <= 2
    assert "the disk is full" in " ".join(detail)


def test_the_record_says_which_labels_a_person_can_choose(tmp_path: Path) -> None:
    keeper = collector(tmp_path)
    keeper.show(frame_of(1, noise(1)), verdict_of(1, "UNKNOWN", 0.4))
    keeper.close()
    record = msgspec.json.decode(next(tmp_path.glob("*.json")).read_bytes(), type=Collected)
    assert record.labels == ("good", "scratch") and record.reasons == ("unsure",)
