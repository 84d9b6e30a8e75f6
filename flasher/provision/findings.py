"""What is wrong with a device, and how to mend it. Pure: from a survey to a list of findings."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.flasher.provision import places
from edgetl.flasher.provision.survey import PYTHONS, Survey
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.flashing.facts import DeviceFacts

Grade = Literal["error", "warning"]
MAX_CLOCK_ERROR_S = 120  # certificates and signatures with an expiry are off by no more than this
MIN_GLIBC = (2, 27)  # of LiteRT's wheels for aarch64, by their tag
MIN_SYSTEMD = 247  # the first that knows ProtectProc=, which the unit uses


class Finding(msgspec.Struct, frozen=True):
    """An error keeps the device from being set up; a warning does not. `mend` says what to do."""

    grade: Grade
    what: str
    mend: str


def findings(survey: Survey, config: DeviceConfig, now_s: float) -> list[Finding]:
    """What must or should be mended before this device can inspect; `now_s` is the workstation's clock."""
    return [
        *_machine(survey, config),
        *_software(survey),
        *_room(survey, config),
        *_surroundings(survey, config, now_s),
    ]


def _error(what: str, mend: str) -> Finding:
    return Finding("error", what, mend)


def _warning(what: str, mend: str) -> Finding:
    return Finding("warning", what, mend)


def _machine(survey: Survey, config: DeviceConfig) -> list[Finding]:
    found = []
    if survey.architecture != config.architecture:
        mend = "choose another --config (edgetl device configs)"
        if survey.architecture in ("armv7l", "armv6l"):
            mend = "install the 64-bit system on it; there are no wheels of the interpreters for 32 bits"
        found.append(_error(f"it is {survey.architecture}, its settings are for {config.architecture}", mend))
    if config.model and survey.model and not survey.model.startswith(config.model):
        found.append(
            _warning(f"it is a {survey.model}, its settings are for {config.model}", "compare: edgetl device configs")
        )
    if not survey.root:
        found.append(
            _error(f"{survey.login} cannot become root there without a password",
                   "log in as root, or allow it: sudo visudo -f /etc/sudoers.d/010_nopasswd")
        )  # fmt: skip
    return found


def _software(survey: Survey) -> list[Finding]:
    found = []
    if not survey.pythons:
        versions = ", ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        found.append(
            _error(f"no Python of {versions} that can make environments", "sudo apt install python3 python3-venv")
        )
    elif survey.glibc is None:
        found.append(
            _error("its C library is not glibc, which the interpreters are built for", "install a Debian or Ubuntu")
        )
    elif survey.glibc < MIN_GLIBC:
        have = ".".join(map(str, survey.glibc))
        found.append(
            _error(
                f"glibc {have} is too old, the interpreters need {MIN_GLIBC[0]}.{MIN_GLIBC[1]}",
                "install a newer system",
            )
        )
    if survey.systemd is None:
        found.append(_error("no systemd to run the service", "install a system with systemd"))
    elif survey.systemd < MIN_SYSTEMD:
        found.append(
            _warning(f"systemd {survey.systemd} does not know all of the service's limits", "install a newer system")
        )
    if not survey.tar:
        found.append(_error("no tar to unpack files with", "sudo apt install tar"))
    return found


def _room(survey: Survey, config: DeviceConfig) -> list[Finding]:
    found = []
    wanted = 0 if survey.installed.packages.get("edgetl") else config.budget.disk_mb or 0
    if survey.free_mb < wanted:
        found.append(_error(f"{survey.free_mb} MB free, {wanted} MB wanted", "free some space, or use a larger card"))
    limit = config.budget.memory_mb
    if limit and survey.memory_mb < limit:
        found.append(
            _warning(f"{survey.memory_mb} MB of memory, the service may take {limit} MB", "lower budget.memory_mb")
        )
    if limit and not survey.memory_limited:  # so it is on Raspberry Pi OS as it comes
        mend = "add cgroup_enable=memory to the line in /boot/firmware/cmdline.txt, and restart it"
        found.append(_warning(f"its kernel does not hold the service to {limit} MB of memory", mend))
    return found


def _surroundings(survey: Survey, config: DeviceConfig, now_s: float) -> list[Finding]:
    found = []
    off_s = survey.clock_s - now_s
    if abs(off_s) > MAX_CLOCK_ERROR_S:
        found.append(_warning(f"its clock is {_span(off_s)}", "sudo timedatectl set-ntp true, or set it: sudo date -s"))
    elif not survey.clock_synchronised:
        found.append(_warning("nothing keeps its clock right", "sudo timedatectl set-ntp true"))
    if survey.camera == "no":
        found.append(
            _warning(f"no camera at {config.camera}", "plug it in, or name another in its settings: ls /dev/v4l/by-id")
        )
    if survey.pin_chip == "no" and config.pins:
        found.append(
            _warning(f"no pins at {config.pins.chip}", "gpiodetect says which chip has the header; change pins.chip")
        )
    chip = config.pins.chip if config.pins else None
    for path, node in ((config.camera, survey.camera), (chip, survey.pin_chip)):
        if node == "closed":
            mend = f"its group must be one of {', '.join(places.GROUPS)}: ls -lL {path}"
            found.append(_warning(f"{path} is closed to the user {places.USER}", mend))
    return found


def _span(seconds: float) -> str:
    side = "ahead" if seconds > 0 else "behind"
    size = abs(seconds)
    return f"{size / 86400:.0f} days {side}" if size > 2 * 86400 else f"{size:.0f} s {side}"


def service_findings(survey: Survey) -> list[Finding]:
    """What keeps a device that was set up from running its service."""
    if "edgetl" not in survey.installed.packages:
        return [_error("edgetl is not installed", "edgetl device init")]
    found = []
    if not survey.user or not survey.folders:
        found.append(_error("its user or its slots are missing", "edgetl device init"))
    if not survey.enabled:
        found.append(_error("the service does not start by itself", "edgetl device init"))
    if survey.active != "active":
        found.append(_error(f"the service is {survey.active or 'unknown'}", "journalctl -u edgetl -n 50"))
    return found


def slot_findings(facts: DeviceFacts, stall_s: float) -> list[Finding]:
    """What keeps the running service from inspecting, and a flash from being taken, as the device says itself.

    `stall_s`: how old a frame may be.
    """
    found = []
    if facts.safe_mode is not None:
        found.append(_error(f"safe mode, every part is a FAULT: {facts.safe_mode}", "edgetl flash BUNDLE"))
    if facts.signatures == "required" and not facts.trusts:
        found.append(_warning("it knows no signers, so it refuses every release", "edgetl device init --signers FILE"))
    for slot, held in facts.slots.items():
        if held.failed is not None and facts.safe_mode is None:
            name = held.release.name if held.release is not None else "its release"
            found.append(_warning(f"slot {slot}: {name} failed, and is not run: {held.failed}", "edgetl flash BUNDLE"))
    if facts.service is None:
        found.append(_error("the service gives no sign of life", "journalctl -u edgetl -n 50"))
    elif not facts.service.sees(stall_s):
        found.append(_warning("the service gets no camera frames", "check the cable; journalctl -u edgetl -n 50"))
    return found
