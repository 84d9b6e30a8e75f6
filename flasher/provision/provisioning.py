"""Setting a device up, and looking at how it is: the order of things, with what talks to it passed in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from edgetl.errors import EdgetlError, ProvisionError
from edgetl.flasher.provision.changes import Packages, changes, chosen_python
from edgetl.flasher.provision.desired import ManagedFile, Wanted, managed_files
from edgetl.flasher.provision.findings import Finding, findings, service_findings, slot_findings
from edgetl.flasher.provision.places import Places
from edgetl.flasher.provision.remote import Shell, ask, carry_out
from edgetl.flasher.provision.survey import Survey, read_survey, survey_script
from edgetl.flasher.provision.wheelhouse import (
    Target,
    Wheel,
    default_folder,
    edgetl_wheels,
    fill_wheelhouse,
    needed_names,
    wheels_in,
)
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.flashing.facts import DeviceFacts

Report = Callable[[str], None]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was found and what was changed; no changes when the device was as it should be."""

    host: str
    survey: Survey
    findings: list[Finding]
    changes: list[str]


class Supply(msgspec.Struct, frozen=True):
    """Where packages come from. `offline`: all of them are carried over, from `wheelhouse` if one was made before."""

    extras: tuple[str, ...] = ("device",)
    offline: bool = False
    wheelhouse: Path | None = None


def look(shell: Shell, config: DeviceConfig, paths: list[str]) -> Survey:
    """How a device is; `paths`: files whose content is compared. Raises ProvisionError, TransportError."""
    camera = config.camera if (config.camera or "").startswith("/dev/") else None
    chip = config.pins.chip if config.pins else None
    return read_survey(ask(shell, survey_script(paths, Places.of(config.paths), camera or "", chip or "")))


def initialise(
    shell: Shell, wanted: Wanted, supply: Supply, now_s: float, report: Report, *, dry: bool = False
) -> Result:
    """Makes the device what it should be; `dry` only says what would change.

    Raises ProvisionError where something must be mended first, or where a step fails; run again, it goes on from there.
    """
    survey = look(shell, wanted.config, [])
    found = findings(survey, wanted.config, now_s)
    if errors := [finding for finding in found if finding.grade == "error"]:
        raise ProvisionError(f"{shell.name}: " + "; ".join(f"{error.what}: {error.mend}" for error in errors))
    files = managed_files(wanted, survey.login)
    survey = look(shell, wanted.config, [file.path for file in files])
    todo = changes(survey, files, _packages(survey, supply, report), Places.of(wanted.config.paths))
    for change in [] if dry else todo:
        report(change.what)
        carry_out(shell, change, as_root=survey.login == "root")
    if todo and not dry:
        survey = _checked(shell, wanted, files, survey)
    return Result(host=shell.name, survey=survey, findings=found, changes=[change.what for change in todo])


def _packages(survey: Survey, supply: Supply, report: Report) -> Packages:
    python = chosen_python(survey)
    assert python is not None and survey.glibc is not None  # both are errors that end before this
    target = Target(survey.architecture, python[1], survey.glibc, supply.extras)
    if supply.offline or supply.wheelhouse:
        return carried_packages(target, supply.wheelhouse, report)
    wheels = edgetl_wheels(default_folder(target).with_name("online"))
    return _as_packages(wheels, target, offline=False)


def carried_packages(target: Target, wheelhouse: Path | None, report: Report) -> Packages:
    """All packages for a target, from a wheelhouse made before or else from the index. Raises ProvisionError."""
    if wheelhouse:
        return _as_packages(wheels_in(wheelhouse), target, offline=True)
    folder = default_folder(target)
    report(f"wheels for {target.name} in {folder}")
    return _as_packages(fill_wheelhouse(folder, target), target, offline=True)


def _as_packages(wheels: list[Wheel], target: Target, *, offline: bool) -> Packages:
    own = next(wheel for wheel in wheels if wheel.name == "edgetl")
    return Packages(
        wheels=tuple(wheels), edgetl_sha256=own.sha256(), needed=tuple(needed_names(target.extras)),
        extras=target.extras, offline=offline,
    )  # fmt: skip


def _checked(shell: Shell, wanted: Wanted, files: list[ManagedFile], before: Survey) -> Survey:
    """Looks again: what was written must be there."""
    survey = look(shell, wanted.config, [file.path for file in files])
    for file in files:
        if survey.files.get(file.path) != file.sha256:
            raise ProvisionError(f"{shell.name}: {file.path} is not what was written; check its disk")
    if not survey.installed.packages.get("edgetl"):
        raise ProvisionError(f"{shell.name}: edgetl does not start there; its Python was {before.installed.python}")
    return survey


def examine(
    shell: Shell, config: DeviceConfig | None, now_s: float, facts: Callable[[], DeviceFacts]
) -> tuple[Survey, list[Finding]]:
    """What is wrong with a device, set up or not; without `config` by the settings that lie there.

    `facts` asks edgetl on the device, where there is one that could answer.
    """
    known = config or DeviceConfig(architecture="")
    survey = look(shell, known, [])
    known = config or DeviceConfig(architecture=survey.architecture)
    found = [*findings(survey, known, now_s), *service_findings(survey)]
    if survey.folders and survey.active == "active":
        try:
            found += slot_findings(facts(), known.flashing.stall_s)
        except EdgetlError as error:
            found.append(Finding("error", f"its edgetl does not answer: {error}", "edgetl device init"))
    return survey, found
