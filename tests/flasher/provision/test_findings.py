"""What keeps a device from inspecting is told, with what to do; what does not is a warning."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from edgetl.flasher.provision.findings import findings, slot_findings
from edgetl.runtime.flashing.facts import device_facts
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.pulse import Pulse, write_pulse
from edgetl.runtime.flashing.records import Activating, Returning
from tests.flasher.provision.devices import BARE, NOW_S, PI, set_up
from tests.runtime.flashing.world import StillClock, configure, install, start


def found(**facts: object) -> list[tuple[str, str, str]]:
    survey = msgspec.structs.replace(BARE, **facts)
    return [(finding.grade, finding.what, finding.mend) for finding in findings(survey, PI, NOW_S)]


def test_a_device_as_it_should_be_has_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("facts", "grade", "what", "mend"),
    [
        ({"architecture": "x86_64"}, "error", "it is x86_64, its settings are for aarch64", "--config"),
        ({"architecture": "armv7l"}, "error", "it is armv7l", "64-bit system"),
        ({"model": "Raspberry Pi 4 Model B Rev 1.2"}, "warning", "it is a Raspberry Pi 4", "device configs"),
        ({"root": False}, "error", "pi cannot become root", "visudo"),
        ({"pythons": {}}, "error", "no Python of 3.12, 3.11, 3.10", "python3-venv"),
        ({"glibc": None}, "error", "not glibc", "Debian"),
        ({"glibc": (2, 24)}, "error", "glibc 2.24 is too old", "newer system"),
        ({"systemd": None}, "error", "no systemd", "systemd"),
        ({"systemd": 241}, "warning", "systemd 241", "newer"),
        ({"tar": False}, "error", "no tar", "apt install tar"),
        ({"free_mb": 100}, "error", "100 MB free, 600 MB wanted", "larger card"),
        ({"memory_mb": 200}, "warning", "200 MB of memory", "memory_mb"),
        ({"memory_limited": False}, "warning", "does not hold the service to 512 MB", "cgroup_enable=memory"),
        ({"clock_s": 0}, "warning", "days behind", "set-ntp"),
        ({"clock_s": NOW_S + 900}, "warning", "900 s ahead", "set-ntp"),
        ({"clock_synchronised": False}, "warning", "nothing keeps its clock right", "set-ntp"),
        ({"camera": "no"}, "warning", "no camera at /dev/video0", "by-id"),
        ({"pin_chip": "no"}, "warning", "no pins at /dev/gpiochip0", "gpiodetect"),
        ({"camera": "closed"}, "warning", "/dev/video0 is closed to the user edgetl", "ls -lL /dev/video0"),
        ({"pin_chip": "closed"}, "warning", "/dev/gpiochip0 is closed to the user edgetl", "gpio"),
    ],
)
def test_one_thing_that_is_wrong_is_told_alone(facts: dict[str, object], grade: str, what: str, mend: str) -> None:
    [(found_grade, found_what, found_mend)] = found(**facts)
    assert found_grade == grade
    assert what in found_what
    assert mend in found_mend


def test_a_device_that_has_edgetl_needs_no_room_for_it_again() -> None:
    assert findings(msgspec.structs.replace(set_up(), free_mb=50), PI, NOW_S) == []


class Told(NamedTuple):
    """What a device says of itself, as text for people."""

    grade: str
    what: str


def told(root: DeviceRoot, clock: StillClock) -> list[Told]:
    return [Told(f.grade, f.what) for f in slot_findings(device_facts(root, clock), 10.0)]


def test_a_device_that_inspects_and_takes_releases_has_nothing_to_tell(root: DeviceRoot, clock: StillClock) -> None:
    install(root, "a", clock)
    start(root, clock)
    beat(root, clock, frame_age_s=0.1)
    assert told(root, clock) == []


def test_missing_signers_safe_mode_and_a_silent_service_are_told(root: DeviceRoot, clock: StillClock) -> None:
    configure(root, signatures="required")
    start(root, clock)  # nothing lies in its slots
    (safe, signers, silent) = told(root, clock)
    assert safe.grade == "error" and safe.what.startswith("safe mode, every part is a FAULT: ")
    assert signers == Told("warning", "it knows no signers, so it refuses every release")
    assert silent == Told("error", "the service gives no sign of life")


def test_a_failed_slot_and_a_camera_without_frames_are_told(root: DeviceRoot, clock: StillClock) -> None:
    install(root, "a", clock)
    install(root, "b", clock, name="new", number=2)
    Journal(root.journal).append(Activating(at=clock.now(), slot="b", previous="a", trial_s=5.0))
    Journal(root.journal).append(Returning(at=clock.now(), slot="a", left="b", reason="too slow", failed=True))
    beat(root, clock, frame_age_s=99.0)
    assert told(root, clock) == [
        Told("warning", "slot b: new failed, and is not run: too slow"),
        Told("warning", "the service gets no camera frames"),
    ]


def beat(root: DeviceRoot, clock: StillClock, frame_age_s: float) -> None:
    write_pulse(root, Pulse(at=clock.now(), pid=1, slot="a", sha256="0" * 64, frames=9, frame_age_s=frame_age_s))
