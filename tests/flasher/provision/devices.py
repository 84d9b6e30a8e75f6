"""Devices as a survey finds them, for tests of what follows from it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.flasher.provision.changes import Packages
from edgetl.flasher.provision.desired import ManagedFile, Wanted, managed_files
from edgetl.flasher.provision.survey import Installed, Survey
from edgetl.flasher.provision.wheelhouse import Wheel
from edgetl.runtime.device_config import config_text, read_config

NOW_S = 1_800_000_000
PI = read_config("raspberry-pi-5")
WANTED = Wanted(config=PI, config_text=config_text("raspberry-pi-5"), signers="a@b ssh-ed25519 AAAA\n")

BARE = Survey(
    architecture="aarch64", model="Raspberry Pi 5 Model B Rev 1.0", system="Debian GNU/Linux 12 (bookworm)", login="pi",
    root=True, pythons={"/usr/bin/python3.11": (3, 11)}, glibc=(2, 36), systemd=252, tar=True, free_mb=20_000,
    memory_mb=8000, clock_s=NOW_S, clock_synchronised=True, camera="yes", pin_chip="yes", groups_there=("video", "gpio"),
)  # fmt: skip

WHEELS = (
    Wheel("/w/edgetl-0.1.0-py3-none-any.whl", "edgetl", "0.1.0"),
    Wheel("/w/numpy-1.26.4-cp311-cp311-manylinux_2_17_aarch64.whl", "numpy", "1.26.4"),
    Wheel("/w/pip-25.0-py3-none-any.whl", "pip", "25.0"),
)
PACKAGES = Packages(wheels=WHEELS, edgetl_sha256="ab" * 32, needed=("numpy",), extras=("device",), offline=True)


def files() -> list[ManagedFile]:
    """What init writes to the device of these tests."""
    return managed_files(WANTED, "pi")


def set_up() -> Survey:
    """The same device after init."""
    installed = Installed(python=(3, 11), packages={"edgetl": "0.1.0", "numpy": "1.26.4"}, edgetl_sha256="ab" * 32)
    return msgspec.structs.replace(
        BARE, user=True, groups=("edgetl", "video", "gpio"), folders=True, enabled=True, active="active",
        files={file.path: file.sha256 for file in files()}, installed=installed,
    )  # fmt: skip


def wheel_file(folder: Path, name: str, size: int) -> Wheel:
    """A wheel file of some size; its content is not a wheel's."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    path.write_bytes(name.encode() * size)
    return Wheel.of(path)
