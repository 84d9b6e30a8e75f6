"""What a site says about its line: one YAML file, one optional section a concern.

A section's record lives beside the code that uses it; here it only gets its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.collect.record import CollectSettings
from edgetl.runtime.config.yaml_record import load_record
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.outputs.config import Gpio, Name, OutputConfig, titles
from edgetl.runtime.page.settings import PageSettings
from edgetl.runtime.parts.settings import (
    GpioTrigger,
    RegionSettings,
    Share,
    TriggerSettings,
    VotingSettings,
    check_voting,
)
from edgetl.runtime.reject.settings import RejectSettings
from edgetl.runtime.service.settings import ServiceSettings
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.trust.settings import TrustSettings


class LineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. `device` is the name of a device or the path of a device's YAML; `source` is as on the
    command line (a number is a camera), and a flag there overrules either. `name` is what the station calls itself in
    results (default: the host's name); `min_score` overrules the bundle's."""

    device: str | None = None
    name: Name | None = None
    source: str | int | None = None
    camera: CameraConfig = CameraConfig()
    trust: TrustSettings = TrustSettings()
    service: ServiceSettings = ServiceSettings()
    min_score: Share | None = None
    trigger: TriggerSettings | None = None
    regions: tuple[RegionSettings, ...] = ()
    voting: VotingSettings = VotingSettings()
    reject: RejectSettings | None = None
    drift: DriftSettings | None = None
    collect: CollectSettings | None = None
    page: PageSettings | None = None
    outputs: tuple[OutputConfig, ...] = ()
    spool: SpoolConfig = SpoolConfig()

    def __post_init__(self) -> None:
        titles(self.outputs)
        check_voting(self.trigger, self.voting)
        _check_pins(self)


def _check_pins(site: LineConfig) -> None:
    """Raises UsageError where two sections name the same pin: the kernel would give it to the first alone."""
    used: dict[tuple[str, int], str] = {}
    for what, chip, line in _pins(site):
        if (other := used.setdefault((chip, line), what)) != what:
            raise UsageError(f"{other} and {what} both name {chip}, line {line}; each needs a pin of its own")


def _pins(site: LineConfig) -> Iterator[tuple[str, str, int]]:
    """Where in the file a pin is named, and its chip and line."""
    if isinstance(site.trigger, GpioTrigger):
        yield "trigger", site.trigger.chip, site.trigger.line
    if site.reject is not None:
        for name in ("pin", "ready", "encoder"):
            if (pin := getattr(site.reject, name)) is not None:
                yield f"reject.{name}", pin.chip, pin.line
    for number, output in enumerate(site.outputs):
        if isinstance(output, Gpio):
            yield from ((f"outputs[{number}].pins[{at}]", pin.chip, pin.line) for at, pin in enumerate(output.pins))


def load_line(path: Path) -> LineConfig:
    """Reads a line's file. Raises UsageError with file, line, key and what is allowed."""
    return load_record(path, LineConfig)
