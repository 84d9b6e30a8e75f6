"""Typed settings of one device, read from `device-configs/NAME.yaml` or a file of the user's."""

from __future__ import annotations

import difflib
import platform
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.config.yaml_record import load_record, read_record
from edgetl.runtime.flashing.settings import FlashSettings

Line = Annotated[int, msgspec.Meta(ge=0, le=1023)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What edgetl may take of this device; None sets no limit.

    `latency_ms`: picture to decision, at p90. `memory_mb`: of the service, which is stopped beyond it. `disk_mb`: free
    space that setting the device up asks for.
    """

    latency_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    memory_mb: Annotated[int, msgspec.Meta(ge=64, le=1 << 20)] | None = None
    disk_mb: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Pins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a light barrier, a reject valve and a lamp are best connected: lines of one chip, as `gpioinfo` numbers them."""

    chip: str
    trigger: Line
    reject: Line
    ready: Line


# Nothing that a shell, a unit or a sudoers file would read otherwise.
Place = Annotated[str, msgspec.Meta(pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$", max_length=200)]
_UNSEEN = ("/home", "/root", "/tmp", "/var/tmp", "/run", "/proc", "/sys", "/dev")


class Paths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where edgetl lies on this device: `root` holds slots, journal and settings and is written to, `home` the program."""

    root: Place = "/var/lib/edgetl"
    home: Place = "/opt/edgetl"

    def __post_init__(self) -> None:
        for path in (self.root, self.home):
            for unseen in _UNSEEN:
                if path == unseen or path.startswith(f"{unseen}/"):
                    raise ValueError(f"{path}: the service does not see what lies in {unseen}, or loses it")


# onnxruntime takes TensorRT by itself where it can; the last two say otherwise (see edgetl.runtime.interpreters.registry).
InterpreterName = Literal["litert", "tflite-runtime", "onnxruntime", "onnxruntime-cpu", "onnxruntime-cuda"]


class DeviceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is fixed for a device; None leaves the choice to a measurement on it.

    `about`: which device this is. `model`: what its device tree's model begins with. `camera` is the source, as
    `edgetl run --source` takes it, that a flash looks through once.
    """

    architecture: str
    about: str = ""
    model: str | None = None
    interpreter: InterpreterName | None = None
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    camera: str | None = None
    budget: Budget = Budget()
    paths: Paths = Paths()
    pins: Pins | None = None
    flashing: FlashSettings = FlashSettings()


def names() -> tuple[str, ...]:
    """The devices that edgetl knows by name."""
    folder = files("edgetl.device_configs")
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def config_text(name: str) -> str:
    """The YAML of a device that edgetl knows by name."""
    return (files("edgetl.device_configs") / f"{name}.yaml").read_text()


def read_config(name: str) -> DeviceConfig:
    """The settings of a device by name, or of a YAML file by path. Raises UsageError with file, line and reason."""
    if name in names():
        return read_record(config_text(name), DeviceConfig, f"{name}.yaml")
    if Path(name).is_file():
        return load_record(Path(name), DeviceConfig)
    near = difflib.get_close_matches(name, names(), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"unknown device {name!r}{hint} Choose from {', '.join(names())} or name a YAML file")


def load_config(name: str) -> DeviceConfig:
    """The same for this machine: settings for another architecture are refused."""
    config = read_config(name)
    if config.architecture != platform.machine():
        raise UsageError(f"{name} is for {config.architecture}, this machine is {platform.machine()}")
    return config
