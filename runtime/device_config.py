"""Typed settings of one device, read from `device-configs/NAME.yaml` or a file of the user's."""

from __future__ import annotations

import platform
from importlib.resources import files
from pathlib import Path

import msgspec
import yaml

from edgetl.errors import UsageError


class DeviceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is fixed for a device; None leaves the choice to a measurement on it."""

    architecture: str
    interpreter: str | None = None
    threads: int | None = None


def names() -> tuple[str, ...]:
    """The devices that edgetl knows by name."""
    folder = files("edgetl.device_configs")
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_config(name: str) -> DeviceConfig:
    """The settings of a device by name, or of a YAML file by path. Raises UsageError with file and reason."""
    if name in names():
        where, text = f"{name}.yaml", (files("edgetl.device_configs") / f"{name}.yaml").read_text()
    elif Path(name).is_file():
        where, text = name, Path(name).read_text()
    else:
        raise UsageError(f"unknown device {name!r}; choose from {', '.join(names())} or name a YAML file")
    try:
        config = msgspec.convert(yaml.safe_load(text), DeviceConfig)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{where}:{line}: not valid YAML: {error.problem}") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}; allowed: {', '.join(DeviceConfig.__struct_fields__)}") from error
    if config.architecture != platform.machine():
        raise UsageError(f"{where} is for {config.architecture}, this machine is {platform.machine()}")
    return config
