"""What must change on a device, in order. Pure: from what it is and what it should be to shell scripts.

Each script runs as root, may be cut off at any line, and converges when it is run again.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from edgetl.flasher.provision import places
from edgetl.flasher.provision.desired import ManagedFile
from edgetl.flasher.provision.places import Places
from edgetl.flasher.provision.survey import Installed, Survey
from edgetl.flasher.provision.wheelhouse import Wheel


class Change(msgspec.Struct, frozen=True):
    """One thing to do. `text` or the files `wheels` (as a tar archive) go to the script's input."""

    what: str
    script: str
    text: str = ""
    wheels: tuple[Wheel, ...] = ()
    timeout_s: float = 120.0


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment should hold. `wheels`: those at hand; `offline`: nothing else may be fetched."""

    wheels: tuple[Wheel, ...]
    edgetl_sha256: str
    needed: tuple[str, ...]
    extras: tuple[str, ...]
    offline: bool


def changes(survey: Survey, files: list[ManagedFile], packages: Packages, where: Places) -> list[Change]:
    """Everything that differs; nothing where the device is as it should be."""
    found = [*_user(survey, where), *_environment(survey, packages, where)]
    differing = [file for file in files if survey.files.get(file.path) != file.sha256]
    found += [_write(file) for file in differing]
    if not survey.folders:
        found.append(_prepare(where))
    if any(file.path == places.TMPFILES for file in differing):
        found.append(Change("folder for what a boot may forget", f"systemd-tmpfiles --create {places.TMPFILES}"))
    if found or not survey.enabled or survey.active != "active":
        found.append(_service())
    return found


def _user(survey: Survey, where: Places) -> list[Change]:
    groups = [group for group in survey.groups_there if group not in survey.groups]
    if survey.user and not groups:
        return []
    script = f"""set -e
id {places.USER} >/dev/null 2>&1 || useradd --system --user-group --home-dir {where.root} --no-create-home \\
  --shell /usr/sbin/nologin {places.USER}
install -d -o {places.USER} -g {places.USER} -m 755 {where.root}
"""
    for group in groups:
        script += f"if getent group {group} >/dev/null; then usermod -aG {group} {places.USER}; fi\n"
    return [Change(f"user {places.USER}" + (f", in {', '.join(groups)}" if groups else ""), script)]


def missing_wheels(installed: Installed, packages: Packages) -> list[Wheel]:
    """The wheels to carry: those that the environment has in no, or another, version. pip's goes along to install them."""
    stale = [wheel for wheel in packages.wheels if wheel.name != "pip" and _differs(wheel, installed, packages)]
    lacking = not packages.offline and not set(packages.needed) <= set(installed.packages)
    if not stale and not lacking:
        return []
    own = [wheel for wheel in packages.wheels if wheel.name in ("pip", "edgetl")]
    return own + [wheel for wheel in stale if wheel.name != "edgetl"]


def _differs(wheel: Wheel, installed: Installed, packages: Packages) -> bool:
    if wheel.name == "edgetl":
        return installed.edgetl_sha256 != packages.edgetl_sha256
    return installed.packages.get(wheel.name) != wheel.version


def chosen_python(survey: Survey) -> tuple[str, tuple[int, int]] | None:
    """The Python of the environment where there is one that still runs, else the newest that edgetl runs on."""
    if not survey.pythons:
        return None
    same = [(path, version) for path, version in survey.pythons.items() if version == survey.installed.python]
    return (same or sorted(survey.pythons.items(), key=lambda item: item[1], reverse=True))[0]


def _environment(survey: Survey, packages: Packages, where: Places) -> list[Change]:
    python = chosen_python(survey)
    carried = missing_wheels(survey.installed, packages)
    if python is None or not carried:
        return []
    own = next(wheel for wheel in packages.wheels if wheel.name == "edgetl")
    what = f"edgetl {own.version} in {where.environment}: {len(carried)} wheels carried over"
    script = _install_script(python[0], own, packages, where)
    return [Change(what, script, wheels=tuple(carried), timeout_s=1800)]


def _install_script(python: str, own: Wheel, packages: Packages, where: Places) -> str:
    """A new environment beside the old, its files shared by hard links, which takes its place in one step."""
    # With a second name for a change of other packages alone, where the link points to the first already.
    new = f"{where.home}/env-{packages.edgetl_sha256[:12]}"
    pip = next(wheel for wheel in packages.wheels if wheel.name == "pip")
    wheel = f"{where.wheels}/{Path(own.path).name}"
    wanted = shlex.quote(f"edgetl[{','.join(packages.extras)}] @ file://{wheel}")
    source = f"--no-index --find-links {where.wheels}" if packages.offline else f"--find-links {where.wheels}"
    return f"""set -e
mkdir -p {where.wheels}
tar -x -f - -C {where.wheels} --no-same-owner
old=$(readlink -f {where.environment} 2>/dev/null || true)
new={new}; [ "$old" != "$new" ] || new={new}b
rm -rf "$new"
if [ -n "$old" ] && [ -x "$old/bin/python" ] && [ "$(readlink -f "$old/bin/python")" = "$(readlink -f {shlex.quote(python)})" ]
then cp -al "$old" "$new"
else {shlex.quote(python)} -m venv --without-pip "$new"
fi
# pip takes a wheel of the version that is there for the same wheel, and writes commands through hard links.
rm -rf "$new"/lib/python3*/site-packages/edgetl "$new"/lib/python3*/site-packages/edgetl-*.dist-info "$new"/bin/edgetl
"$new/bin/python" -I {where.wheels}/{Path(pip.path).name}/pip install --quiet --disable-pip-version-check --no-cache-dir \\
  --root-user-action=ignore --only-binary=:all: {source} {wanted} >&2
ln -sfn "$(basename "$new")" {where.environment}.new
sync -f "$new"
mv -fT {where.environment}.new {where.environment}
sync {where.home}
for other in {where.home}/env-*; do [ "$other" = "$new" ] || rm -rf "$other"; done
rm -rf {where.wheels}
"""


def _write(file: ManagedFile) -> Change:
    """Written beside, checked, synced and renamed, as everything that edgetl replaces."""
    path, owner = shlex.quote(file.path), shlex.quote(file.owner)
    check = 'visudo -qcf "$t" >/dev/null\n' if file.path == places.SUDOERS else ""
    script = f"""set -e
d=$(dirname {path}); umask 022; mkdir -p "$d"; umask 077  # others must get through a folder that was not there
t=$(mktemp "$d/.edgetl.XXXXXX"); trap 'rm -f "$t"' EXIT
cat > "$t"
echo "{file.sha256}  $t" | sha256sum -c --quiet - >&2
{check}chmod {file.mode:o} "$t"; chown {owner}:{owner} "$t"
sync "$t"; mv -f "$t" {path}; sync "$d"
"""
    return Change(file.path, script, text=file.content)


def _prepare(where: Places) -> Change:
    script = f"cd / && runuser -u {places.USER} -- {where.python} -m edgetl slot prepare --root {where.root}"
    return Change(f"slots in {where.root}", script)


def _service() -> Change:
    script = f"""set -e
systemctl daemon-reload
systemctl enable --quiet {places.SERVICE}
systemctl reset-failed {places.SERVICE} 2>/dev/null || true
systemctl restart --no-block {places.SERVICE}
"""
    return Change(f"{places.SERVICE} enabled and started", script)
